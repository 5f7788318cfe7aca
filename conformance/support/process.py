"""Programs under test: started with a log file, measured through /proc, never left behind."""

import contextlib
import os
import random
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path

from support.waiting import Broken, eventually

_given_out = set()


def free_port():
    """A port nobody listens on, below the range from which the kernel takes ports for outgoing connections."""
    while True:
        port = random.randrange(10_000, 32_000)
        if port in _given_out:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                _given_out.add(port)
                return port


class Process:
    """A program in a session of its own, so that all its children end with it."""

    def __init__(self, name, command, folder, env=None, open_files=None):
        self.name = name
        self.log = Path(folder) / f"{name}.log"

        def limit_files():
            if open_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                env=os.environ | (env or {}), start_new_session=True,
                preexec_fn=limit_files,
            )  # fmt: skip

    def has_ended(self):
        return self.popen.poll() is not None

    def log_tail(self, lines=8):
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until_listening(self, port, within=20):
        def connect():
            if self.has_ended():
                raise Broken(f"{self.name} ended by itself with {self.popen.returncode}: {self.log_tail()}")
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True

        eventually(f"{self.name} listens on port {port}", connect, within=within)

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """kill -9, children too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)

    # What /proc says, children included.

    def pids(self):
        found, fresh = [], [self.popen.pid]
        while fresh:
            found += fresh
            children = []
            for pid in fresh:
                for task in Path(f"/proc/{pid}/task").glob("*/children"):
                    with contextlib.suppress(OSError):
                        children += map(int, task.read_text().split())
            fresh = children
        return found

    def resident_mb(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                total += int(found[1]) if found else 0
        return total / 1024

    def processor_seconds(self):
        """Used since the start, by all threads."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += len(os.listdir(f"/proc/{pid}/fd"))
        return total
