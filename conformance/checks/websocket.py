"""`Upgrade: websocket`."""

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


@check("websocket-tunnel", "websocket", engines=("raw", "raw"), any_path=True, spoils=True)
def tunnel(stage, _):
    """A WebSocket is tunnelled both ways byte for byte, also what is sent with the handshake, and ends on both sides."""
    for engine in stage.engines:
        engine.answer = echo
    with Connection(stage.port) as client:
        client.ask("GET", "/socket", [*somebody(), *FIELDS]).send(b"ahead\r\n\r\n")
        answer = client.read_head()
        expect(answer.status == 101, f"{answer}")
        expect(client.read_exactly(9) == b"ahead\r\n\r\n", "what was sent ahead was lost")
        data = bytes(range(256)) * 4096
        client.send(data)
        expect(client.read_exactly(len(data)) == data, "bytes were changed")
    peers = [peer for engine in stage.engines for peer in engine.peers if b"websocket" in peer.received]
    eventually("the engine's side ends", lambda: all(peer.closed.is_set() for peer in peers), within=2)


@check("responses-over-websocket", "websocket", any_path=True)
def responses(stage, _):
    """The Responses API over a WebSocket is declined within a second where the engine speaks only HTTP."""
    begun = time.monotonic()
    answer = stage.ask("GET", "/v1/responses", [*somebody(), *FIELDS], timeout=5)
    expect(400 <= answer.status < 500 and time.monotonic() - begun < 1, f"{answer}")
    return f"{answer.status}"
