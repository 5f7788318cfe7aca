"""A client that shows exactly what came over the wire: every head, every byte with its time, and how the answer ended."""

import contextlib
import json
import socket
import struct
import time
import uuid
from dataclasses import dataclass, field

CHAT = "/v1/chat/completions"
MODEL = "fake-model"


@dataclass
class Answer:
    status: int
    fields: list  # (name, value) in their order
    body: bytes = b""
    clean: bool = True  # the body ended as its framing promised
    early: list = field(default_factory=list)  # statuses of informational answers before it
    raw_head: bytes = b""

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def field(self, name):
        return next(iter(self.all(name)), None)

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:160]!r}{'' if self.clean else ' (cut short)'}"


class Cut(ConnectionError):
    """The connection ended where an answer or a part of one was due."""


def parse_head(raw):
    """Status line or request line, and the fields."""
    first, *lines = raw.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines if line]
    return first, [(name, value.strip()) for name, _, value in pairs]


class Connection:
    """One TCP connection to the proxy, or to anything else that speaks HTTP."""

    def __init__(self, port, timeout=30.0, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def ask(self, method, target, fields=(), body=None):
        return self.send(request_bytes(method, target, fields, body))

    def leave(self, abruptly=False):
        """FIN, or RST where `abruptly`. Returns when, in milliseconds since 1970."""
        if abruptly:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left = time.time() * 1000
        self.socket.close()
        return left

    # Reading

    def receive(self, size=65536):
        try:
            return self.socket.recv(size)
        except ConnectionError:
            return b""

    def fill(self):
        data = self.receive()
        if not data:
            raise Cut(f"the connection ended after {self.buffer[:120]!r}")
        self.buffer += data

    def read_until(self, mark):
        while mark not in self.buffer:
            self.fill()
        part, _, self.buffer = self.buffer.partition(mark)
        return part

    def read_exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        part, self.buffer = self.buffer[:count], self.buffer[count:]
        return part

    def read_head(self):
        early = []
        while True:
            raw = self.read_until(b"\r\n\r\n")
            line, fields = parse_head(raw)
            status = int(line.split()[1])
            if status >= 200 or status == 101:
                return Answer(status, fields, early=early, raw_head=raw)
            early.append(status)

    def parts_of(self, left):
        """(time, bytes) of the next so many bytes, as they come."""
        while left:
            if not self.buffer:
                self.fill()
            part, self.buffer = self.buffer[:left], self.buffer[left:]
            left -= len(part)
            yield time.monotonic(), part

    def pieces(self, answer, head_only=False):
        """(time, bytes) of the body as they come. Sets `answer.clean`."""
        answer.clean = False
        coding = (answer.field("Transfer-Encoding") or "").lower()
        length = answer.field("Content-Length")
        try:
            if head_only or answer.status in (204, 304):
                pass
            elif "chunked" in coding:
                while size := int(self.read_until(b"\r\n").partition(b";")[0], 16):
                    yield from self.parts_of(size)
                    self.read_exactly(2)
                while self.read_until(b"\r\n"):
                    pass  # trailers
            elif length is not None:
                yield from self.parts_of(int(length))
            else:
                while True:
                    try:
                        data = self.buffer or self.socket.recv(65536)
                    except ConnectionError:
                        return
                    self.buffer = b""
                    if not data:
                        break
                    yield time.monotonic(), data
            answer.clean = True
        except Cut:
            return

    def read_answer(self, head_only=False):
        answer = self.read_head()
        parts = [part for _, part in self.pieces(answer, head_only)]
        answer.body = b"".join(parts)
        return answer

    def is_closed_within(self, seconds):
        """Whether the other side closes; whatever it still says is read."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                data = self.receive()
                if not data:
                    return True
                self.buffer += data
        return False


def request_bytes(method, target, fields=(), body=None):
    lines = [f"{method} {target} HTTP/1.1"]
    names = {name.lower() for name, _ in fields}
    if "host" not in names:
        lines.append("Host: conformance.test")
    lines += [f"{name}: {value}" for name, value in fields]
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    if body is not None and "content-type" not in names:
        lines.append("Content-Type: application/json")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def ask(port, method, target, fields=(), body=None, timeout=30.0):
    """One request on a connection of its own."""
    with Connection(port, timeout) as connection:
        return connection.ask(method, target, fields, body).read_answer(head_only=method == "HEAD")


def chat_body(stream=False, tokens=4, text="Say something.", **more):
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": tokens, "stream": stream} | more
    return json.dumps(body).encode()


def somebody():
    """A field that makes this client a different one, so that a proxy that keeps clients on their server spreads them."""
    return [("X-Session-Id", uuid.uuid4().hex)]


def chat(port, timeout=30.0, fields=None, **body):
    return ask(port, "POST", CHAT, somebody() if fields is None else fields, chat_body(**body), timeout)
