"""HTTP/1.x over a plain socket: every byte counted, and how an answer ended told exactly."""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass, field

READ = 65_536
PIECE = 262_144


class Ended(Exception):
    """The connection ended where more was owed: `how` is "cut" (FIN) or "reset" (RST)."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


class Malformed(Exception):
    """What came is not HTTP."""


@dataclass
class Answer:
    status: int = 0
    headers: dict = field(default_factory=dict)  # names in lower case
    repeated: list = field(default_factory=list)  # names that came twice
    body: bytearray = field(default_factory=bytearray)
    ending: str = "nothing"  # whole, or as Ended says, or why it is malformed
    first_byte_at: float | None = None
    framing: str = ""  # length, chunked, until-close
    informational: int = 0


class Connection:
    """One client connection. `pace`: an iterator of (seconds, bytes): pause so long before a read of so many."""

    def __init__(self, port, receive_buffer=None):
        self.port = port
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.setblocking(False)
        self.loop = asyncio.get_running_loop()
        self.buffer = bytearray()
        self.pace = None
        self.first_byte_at = None
        self.is_open = True

    async def connect(self):
        await self.loop.sock_connect(self.sock, ("127.0.0.1", self.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    async def send(self, *pieces):
        try:
            for piece in pieces:
                view = memoryview(piece)
                for start in range(0, len(view), PIECE):
                    await self.loop.sock_sendall(self.sock, view[start : start + PIECE])
        except ConnectionError:
            pass  # an answer may lie there nevertheless; reading tells

    async def more(self):
        """Reads what is there into the buffer; False at the other side's FIN."""
        size = READ
        if self.pace:
            seconds, size = next(self.pace)
            await asyncio.sleep(seconds)
        try:
            data = await self.loop.sock_recv(self.sock, size)
        except ConnectionError:
            raise Ended("reset") from None
        if data and self.first_byte_at is None:
            self.first_byte_at = time.monotonic()
        self.buffer += data
        return bool(data)

    async def until(self, mark, limit=65_536):
        at = 0
        while (end := self.buffer.find(mark, at)) < 0:
            at = max(0, len(self.buffer) - len(mark))
            if len(self.buffer) > limit:
                raise Malformed(f"no {mark!r} within {limit} bytes")
            if not await self.more():
                raise Ended("cut")
        taken = bytes(self.buffer[:end])
        del self.buffer[: end + len(mark)]
        return taken

    async def exactly(self, count, sink):
        while True:
            taken = min(count, len(self.buffer))
            sink += self.buffer[:taken]
            del self.buffer[:taken]
            count -= taken
            if not count:
                return
            if not await self.more():
                raise Ended("cut")

    async def head(self, answer):
        if not self.buffer and not await self.more():
            raise Ended("cut")
        while True:
            lines = (await self.until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            words = lines[0].split(" ", 2)
            if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
                raise Malformed(f"status line {lines[0][:80]!r}")
            answer.status = int(words[1])
            if answer.status >= 200:
                break
            answer.informational += 1
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip():
                raise Malformed(f"header line {line[:80]!r}")
            name = name.lower()
            if name in answer.headers:
                answer.repeated.append(name)
            answer.headers[name] = value.strip()

    async def answer(self, answer, saw=None):
        """Reads one whole answer into `answer`; `saw` is awaited after each piece of a body, and may end it with an exception."""
        self.first_byte_at = None
        try:
            await self.head(answer)
            answer.first_byte_at = self.first_byte_at
            await self.body(answer, saw)
            answer.ending = "whole"
        except Ended as ended:
            answer.ending = ended.how
        except Malformed as malformed:
            answer.ending = f"malformed: {malformed}"
        answer.first_byte_at = answer.first_byte_at or self.first_byte_at
        if answer.ending != "whole" or answer.framing == "until-close":
            self.close()
        elif answer.headers.get("connection", "").lower() == "close":
            if not await self.ends():
                answer.ending = "malformed: bytes after the end of an answer that closes the connection"
            self.close()
        return answer

    async def body(self, answer, saw):
        if "chunked" in answer.headers.get("transfer-encoding", "").lower():
            answer.framing = "chunked"
            if "content-length" in answer.headers:
                raise Malformed("chunked with a length")
            while True:
                line = (await self.until(b"\r\n", 4096)).split(b";")[0]
                try:
                    size = int(line, 16)
                except ValueError:
                    raise Malformed(f"chunk size {line[:40]!r}") from None
                if size == 0:
                    while await self.until(b"\r\n", 4096):
                        pass
                    return
                await self.exactly(size, answer.body)
                if await self.until(b"\r\n", 65_538):
                    raise Malformed("a chunk longer than it said")
                if saw:
                    await saw(answer)
        elif "content-length" in answer.headers:
            answer.framing = "length"
            await self.exactly(int(answer.headers["content-length"]), answer.body)
        elif answer.status not in (204, 304):
            answer.framing = "until-close"
            while True:
                answer.body += self.buffer
                self.buffer.clear()
                if saw:
                    await saw(answer)
                if not await self.more():
                    return

    async def ends(self):
        """After an answer that announced the end: nothing but the end comes."""
        try:
            return not self.buffer and not await self.more()
        except Ended:
            return True

    def surprise(self):
        """Between two requests nothing comes: what came nevertheless, or None."""
        if self.buffer:
            return f"bytes after an answer: {bytes(self.buffer[:80])!r}"
        try:
            data = self.sock.recv(80, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except ConnectionError:
            return "a kept connection was reset"
        return f"bytes nobody asked for: {data!r}" if data else "a kept connection was closed"

    def close(self, hard=False):
        """FIN, or RST where `hard`."""
        if self.is_open and hard:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_open = False
        self.sock.close()
