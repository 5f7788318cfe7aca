"""Every input has a limit, and one slow client costs one socket."""

import contextlib
import time

from suite import check
from support.client import CHAT, Connection, ask, chat, chat_body, request_bytes, somebody
from support.waiting import expect


@check("long-head", "limits")
def long_head(stage, _):
    """A head of a megabyte is refused."""
    with Connection(stage.port) as client:
        try:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * (1 << 20) + b"\r\n\r\n")
        except OSError:
            pass
        try:
            answer = client.read_answer()
        except OSError:
            return "closed without a word"
    expect(400 <= answer.status < 500, f"{answer}")
    return f"{answer.status}"


@check("many-fields", "limits")
def many_fields(stage, _):
    """More than a thousand fields are refused."""
    answer = stage.ask("POST", CHAT, [(f"X-{number}", "1") for number in range(1500)], chat_body())
    expect(400 <= answer.status < 500, f"{answer}")
    return f"{answer.status}"


@check("unfinished-head", "limits")
def unfinished_head(stage, _):
    """A head that is never finished is given up within 15 s."""
    with Connection(stage.port) as client:
        begun = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        expect(client.is_closed_within(15), "still open after 15 s")
    return f"after {time.monotonic() - begun:.0f} s"


@check("slow-heads", "limits", alone=True)
def slow_heads(stage, _):
    """300 clients that never finish their heads do not make another one wait for a second."""
    clients = [Connection(stage.port).send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ") for _ in range(300)]
    begun = time.monotonic()
    statuses = [chat(stage.port).status for _ in range(5)]
    took = (time.monotonic() - begun) / 5
    for client in clients:
        client.leave()
    expect(statuses == [200] * 5 and took < 1, f"{statuses}, {took:.2f} s each")
    return f"{took * 1000:.0f} ms each"


@check("body-over-limit", "limits", needs="body_limit", limits_body="1MB")
def body_over_limit(stage, _):
    """A body over the limit gets a 413 that a client can read although it goes on sending."""
    body = chat_body(text="x" * 3_000_000)
    with Connection(stage.port) as client:
        raw = request_bytes("POST", CHAT, somebody(), body)
        try:
            for start in range(0, len(raw), 65536):
                client.send(raw[start : start + 65536])
        except OSError:
            pass  # it need not be read to its end
        answer = client.read_answer()
    expect(answer.status == 413, f"{answer}")


@check("idle-makes-room", "limits", alone=True, needs="connection_limit", limits_connections=8)
def idle_makes_room(stage, _):
    """Nine clients where eight are allowed, idle between their requests: each new one is answered within 2 s, and the one that
    has been idle for longest is closed. A stream is not."""
    for engine in stage.engines:
        engine.behave(decode_tokens_per_second=20)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(Connection(stage.port))
        stream.ask("POST", CHAT, somebody(), chat_body(stream=True, tokens=100))
        pieces = stream.pieces(answer := stream.read_head())
        next(pieces)
        clients = []
        for number in range(12):
            begun = time.monotonic()
            client = stack.enter_context(Connection(stage.port))
            clients.append(client)
            target = "/health" if number % 2 else "/v1/models"
            expect(client.ask("GET", target).read_answer().status == 200, f"client {number} is not answered")
            took = time.monotonic() - begun
            expect(took < 2, f"client {number} waited for {took:.1f} s")
        expect(all(client.is_closed_within(1) for client in clients[:4]), "the longest idle ones are still open")
        expect(clients[-1].ask("GET", "/health").read_answer().status == 200, "the newest one was closed")
        text = b"".join(part for _, part in pieces)
    expect(answer.clean and b"[DONE]" in text, "the stream was cut")


@check("few-descriptors", "limits", alone=True, spoils=True, needs="few_descriptors", open_files=64)
def few_descriptors(stage, _):
    """With a hard limit of 64 descriptors and 100 idle clients it keeps quiet, answers others, serves a stream to its end, blames
    no server, and has said at its start what it needs."""
    for engine in stage.engines:
        engine.behave(decode_tokens_per_second=20)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(Connection(stage.port))
        stream.ask("POST", CHAT, somebody(), chat_body(stream=True, tokens=100))
        pieces = stream.pieces(answer := stream.read_head())
        next(pieces)
        for _ in range(100):
            stack.enter_context(Connection(stage.port))
        time.sleep(0.5)
        before = stage.process.processor_seconds()
        time.sleep(2)
        used = (stage.process.processor_seconds() - before) / 2
        expect(used < 0.1, f"it uses {used:.0%} of a core")
        answers = [chat(stage.port, timeout=15) for _ in range(10)]
        expect(all(a.status == 200 for a in answers), f"{[str(a) for a in answers if a.status != 200][:2]}")
        text = b"".join(part for _, part in pieces)
        expect(answer.clean and b"[DONE]" in text, "the stream was cut")
    states = [b["state"] for b in ask(stage.port, "GET", "/llmhealth-snapshot").json()["backends"]]
    expect(set(states) == {"up"}, f"servers are blamed: {states}")
    log = stage.process.log.read_text(errors="replace")
    expect("limits.connections" in log and "64" in log and "LimitNOFILE" in log, f"the log says: {log[:300]}")
    return f"{used:.1%} of a core"
