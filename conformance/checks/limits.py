"""Every input has a limit, and one slow client costs one socket."""

import time

from suite import check
from support.client import CHAT, Connection, chat, chat_body, request_bytes, somebody
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
