"""The three fake engines: started, steered, killed and started again."""

import asyncio
import contextlib
import json
import random
import signal
import socket
import subprocess

from wire import Answer, Connection

LETTERS = "abcdefgh"
NONCES = [first + second for first in LETTERS for second in LETTERS]
SOAK = [f"soak-{nonce}" for nonce in NONCES]  # models that every engine has
POND = [f"pond-{nonce}" for nonce in NONCES]  # models for Ollama's API, which only that kind of engine speaks


def free_port():
    """Below the range from which the kernel takes ports for outgoing connections: an engine must get its own again."""
    for _ in range(100):
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port between 10000 and 32000")


async def call(port, method, path, body=None, within=5.0):
    """One request of our own, on a connection of its own."""
    content = b"" if body is None else json.dumps(body).encode()
    connection = await Connection(port).connect()
    try:
        async with asyncio.timeout(within):
            head = f"{method} {path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
            await connection.send(head.encode(), content)
            answer = await connection.answer(Answer())
    finally:
        connection.close()
    if answer.ending != "whole":
        raise ConnectionError(f"{method} {path}: the answer is {answer.ending}")
    return answer


class Engine:
    def __init__(self, binary, log_folder, name, kind, slots, prefill, decode):
        self.name, self.kind, self.slots = name, kind, slots
        self.port = free_port()
        models = ",".join(SOAK + POND if kind == "ollama" else SOAK)
        self.command = [binary, "--port", self.port, "--name", name, "--kind", kind, "--slots", slots, "--models", models]
        self.command += ["--prefill-speed", prefill, "--decode-speed", decode]
        self.log = open(log_folder / f"{name}.log", "ab")
        self.process = None

    async def start(self):
        words = [str(word) for word in self.command]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for _ in range(1000):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}; see {self.log.name}")
            with contextlib.suppress(OSError, TimeoutError):
                if (await call(self.port, "GET", "/v1/models", within=1)).status == 200:
                    return self
            await asyncio.sleep(0.02)
        raise RuntimeError(f"{self.name} does not listen on port {self.port}")

    async def behave(self, fault, milliseconds):
        answer = await call(self.port, "POST", "/fake/behaviour", {"fault": fault, "for_ms": milliseconds})
        if answer.status != 200:
            raise RuntimeError(f"{self.name}: {bytes(answer.body)!r}")

    async def observations(self):
        """The counts; without the list of requests, which holds whole bodies."""
        await call(self.port, "DELETE", "/fake/observations", within=20)
        return json.loads((await call(self.port, "GET", "/fake/observations", within=20)).body)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def end(self):
        if self.process and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.process.send_signal(signal.SIGCONT)
            self.kill()
        self.log.close()
