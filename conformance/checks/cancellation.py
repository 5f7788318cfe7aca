"""A client that leaves stops the engine, wherever its request is."""

import contextlib
from itertools import islice, product

from suite import add, check
from support.client import CHAT, Connection, chat, chat_body, somebody
from support.waiting import eventually, expect, holds_for

LIMIT_MS = 250


def read_what_is_there(client):
    """Closing a socket with unread bytes sends RST: a client that is to leave with FIN reads them first."""
    client.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while client.socket.recv(65536):
            pass


def leaves(stage, body, fault, abruptly, wait_for_event):
    with_fault = [*somebody(), ("X-Fake-Fault", fault)] if fault else somebody()
    client = Connection(stage.port).ask("POST", CHAT, with_fault, body)
    if wait_for_event:
        answer = client.read_head()
        parts = client.pieces(answer)
        text = b"".join(part for _, part in islice(parts, 1))
        while fault.startswith("stall") and text.count(b"\n\n") < 2:
            text += next(parts)[1]
    else:
        eventually("the engine has the request", lambda: sum(e.working() for e in stage.engines), within=5)
    read_what_is_there(client)
    left = client.leave(abruptly)

    def cancellations():
        return [c for engine in stage.engines for c in engine.cancellations()]

    (seen,) = eventually("the engine sees the client's end", cancellations, within=5)
    late = seen["unix_ms"] - left
    expect(late <= LIMIT_MS, f"seen after {late:.0f} ms")
    return f"seen after {max(0, late):.0f} ms"


WINDOWS = {
    "prefill": ("before the first byte of a stream", chat_body(stream=True), "stall-before-answer", False),
    "prefill-whole": ("before the first byte of an answer that is not streamed", chat_body(), "stall-before-answer", False),
    "flowing": ("while events flow", chat_body(stream=True, tokens=100_000), "slow-body=1", True),
    "silent": ("in mid-stream while the engine is silent", chat_body(stream=True), "stall-after-events=2", True),
}

for (word, (where, body, fault, begun)), (how, abruptly) in product(WINDOWS.items(), (("FIN", False), ("RST", True))):
    add(
        f"cancel-{word}-{how.lower()}", "cancellation", f"A client that leaves {where} ({how}) ends it at the engine within 250 ms.",
        lambda stage, _, body=body, fault=fault, abruptly=abruptly, begun=begun: leaves(stage, body, fault, abruptly, begun),
        needs="passes_fields",
    )  # fmt: skip


@check("cancel-queued", "cancellation", needs="queue", request_max=1)
def queued(stage, _):
    """A client that leaves while it waits in the line never reaches an engine."""
    held = [Connection(stage.port).ask("POST", CHAT, [*somebody(), ("X-Fake-Fault", "stall-before-answer")], chat_body()) for _ in "AB"]
    eventually("both engines are taken", lambda: sum(e.working() for e in stage.engines), lambda n: n == 2)
    waiting = Connection(stage.port).ask("POST", CHAT, somebody(), chat_body(text="NEVER-SEEN"))

    def asked():
        return any(engine.saw("NEVER-SEEN") for engine in stage.engines)

    if stage.proxy.in_flight:
        eventually("it waits", lambda: stage.proxy.in_flight(stage)[1], lambda n: n == 1)
    holds_for(0.3, "it waits", lambda: not asked())
    waiting.leave()
    if stage.proxy.in_flight:
        eventually("nobody waits", lambda: stage.proxy.in_flight(stage)[1], lambda n: n == 0, within=0.5)
    holds_for(0.3, "no engine was asked", lambda: not asked())
    for client in held:
        client.leave()
    eventually("the engines are free", lambda: chat(stage.port).status, lambda status: status == 200)
    expect(not asked(), "an engine was asked all the same")
