"""`Upgrade: websocket`."""

import socket
import time

from suite import check
from support.client import Connection, somebody
from support.waiting import eventually, expect

FIELDS = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
          ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]  # fmt: skip
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def echo(request, peer):
    """Agrees, then sends every byte back."""
    peer.send(AGREED + peer.buffer)
    peer.buffer = b""
    while True:
        peer.fill()
        peer.send(peer.buffer)
        peer.buffer = b""


def opened(stage, client, ahead=b""):
    """Agrees on a WebSocket; returns the engines' side of it."""
    for engine in stage.engines:
        engine.answer = echo
    client.ask("GET", "/socket", [*somebody(), *FIELDS])
    if ahead:
        client.send(ahead)
    answer = client.read_head()
    expect(answer.status == 101, f"{answer}")
    return next(peer for engine in stage.engines for peer in engine.peers if b"websocket" in peer.received)


@check("websocket-tunnel", "websocket", engines=("raw", "raw"), any_path=True, spoils=True)
def tunnel(stage, _):
    """A WebSocket is tunnelled both ways byte for byte, and ends at the engine when the client ends it."""
    with Connection(stage.port) as client:
        peer = opened(stage, client)
        data = bytes(range(256)) * 4096
        client.send(data)
        expect(client.read_exactly(len(data)) == data, "bytes were changed")
    eventually("the engine's side ends", peer.closed.is_set, within=2)


@check("websocket-engine-ends", "websocket", engines=("raw", "raw"), any_path=True, spoils=True)
def engine_ends(stage, _):
    """A WebSocket that the engine ends is ended at the client, too."""
    with Connection(stage.port) as client:
        peer = opened(stage, client)
        peer.socket.shutdown(socket.SHUT_RDWR)
        expect(client.is_closed_within(2), "the client's side is still open after 2 s")


@check("websocket-ahead", "websocket", engines=("raw", "raw"), any_path=True, spoils=True)
def sent_ahead(stage, _):
    """What a client sends with the handshake, before it is agreed upon, reaches the engine."""
    with Connection(stage.port, timeout=5) as client:
        opened(stage, client, b"ahead\r\n\r\n")
        expect(client.read_exactly(9) == b"ahead\r\n\r\n", "what was sent ahead was changed")


@check("responses-over-websocket", "websocket", any_path=True)
def responses(stage, _):
    """The Responses API over a WebSocket is declined within a second where the engine speaks only HTTP."""
    begun = time.monotonic()
    answer = stage.ask("GET", "/v1/responses", [*somebody(), *FIELDS], timeout=5)
    expect(400 <= answer.status < 500 and time.monotonic() - begun < 1, f"{answer}")
    return f"{answer.status}"
