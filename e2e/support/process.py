"""Programs under test: started with a log file, waited for with a deadline, never left behind."""

import random
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support.waiting import eventually

OUTPUT = Path(".build-e2e")
LOG_LINES_SHOWN = 15


def free_port():
    """A port nobody listens on, below the range from which the kernel takes ports for outgoing connections: so none of those can
    take it before its server does, or while that server is being restarted."""
    for _ in range(100):
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port between 10000 and 32000")


class Process:
    running = []  # every process of this session that has not been stopped; conftest.py shows their logs on a failure

    def __init__(self, name, command, cwd=None, env=None, output=None):
        self.name = name
        logs = OUTPUT / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.log = (logs / f"{name}-{free_port()}.log").resolve()
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output or log, stderr=log, cwd=cwd, env=env
            )
        self.expected_to_end = False
        Process.running.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def log_tail(self):
        return "\n".join(self.output().splitlines()[-LOG_LINES_SHOWN:])

    def has_ended(self):
        return self.popen.poll() is not None

    def must_be_running(self):
        if self.has_ended() and not self.expected_to_end:
            self.expected_to_end = True  # said once
            pytest.fail(f"{self.name} ended by itself with {self.popen.returncode}; its log:\n{self.log_tail()}")

    def wait_until_listening(self, port, within=20):
        def connect():
            self.must_be_running()
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True

        eventually(f"{self.name} listens on port {port}", connect, within=within)

    def signal(self, number):
        self.expected_to_end |= number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
        self.popen.send_signal(number)

    def wait_for_exit(self, within):
        self.expected_to_end = True
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.name} still runs after {within} s; its log:\n{self.log_tail()}")

    def kill(self):
        """kill -9, as by a crash or the out-of-memory killer."""
        self.signal(signal.SIGKILL)
        self.popen.wait(10)

    def end(self):
        """For fixtures: away with it; a program that had ended by itself before is a failure of the test."""
        Process.running.remove(self)
        crashed = self.has_ended() and not self.expected_to_end
        self.popen.kill()
        self.popen.wait(10)
        if crashed:
            pytest.fail(f"{self.name} ended by itself with {self.popen.returncode}; its log:\n{self.log_tail()}")
