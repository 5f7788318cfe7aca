"""A client that shows exactly what came over the wire: statuses, headers, every byte, and how the answer ended."""

import contextlib
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f"status {self.status}, expected JSON, got {self.body[:500]!r}") from None

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


def encode(body):
    return body if body is None or isinstance(body, bytes) else json.dumps(body).encode()


class Exchange:
    """One request on a connection of its own, whose answer may be read piece by piece, or left."""

    def __init__(self, base, method, path, body=None, headers=None, timeout=60, source=None):
        address = urlsplit(base)
        if address.scheme == "https":
            # Whom to trust is not what these tests ask.
            context = ssl._create_unverified_context()
            self.connection = http.client.HTTPSConnection(
                address.hostname, address.port, timeout=timeout, context=context, source_address=source
            )
        else:
            self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
        body = encode(body)
        headers = {"Content-Type": "application/json"} | (headers or {}) if body is not None else headers or {}
        self.connection.request(method, path, body, headers)
        self.response = None

    def wait_for_head(self):
        self.response = self.response or self.connection.getresponse()
        return self.response

    def read_some(self):
        """The next bytes of the body as they come; empty at its clean end. IncompleteRead where the answer breaks off."""
        data = self.wait_for_head().read1(65536)
        if not data and self.response.length:  # bytes that Content-Length still owes; broken chunks raise by themselves
            raise http.client.IncompleteRead(b"", self.response.length)
        return data

    def read_all(self):
        """The rest of the body and whether it ended as its framing promised."""
        pieces = []
        try:
            while data := self.read_some():
                pieces.append(data)
            clean = True
        except (http.client.IncompleteRead, ConnectionError):
            clean = False
        return b"".join(pieces), clean

    def leave(self):
        """Closes the connection now, as a client does that is stopped."""
        if self.connection.sock:
            with contextlib.suppress(OSError):  # already closed by the other side
                self.connection.sock.shutdown(socket.SHUT_RDWR)
        if self.response:
            self.response.close()
        self.connection.close()


def request(base, method, path, body=None, headers=None, timeout=60):
    exchange = Exchange(base, method, path, body, headers, timeout)
    try:
        response = exchange.wait_for_head()
        return Answer(response.status, response.headers, response.read())
    finally:
        exchange.leave()


def events(body):
    """The `data:` payloads of an event stream, JSON decoded but for `[DONE]`."""
    payloads = [line[5:].strip() for line in body.decode().splitlines() if line.startswith("data:")]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]
