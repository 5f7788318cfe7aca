"""A client that leaves takes its work with it, wherever that work is."""

from suite import add
from support.client import CHAT, Connection, chat_body, somebody
from support.waiting import eventually, expect, holds_for

GROUP = "cancellation"
WITHIN_MS = 250


def leave_and_measure(stage, connection, abruptly):
    """How long until the engine saw its connection close."""
    left = connection.leave(abruptly)

    def seen():
        return next((c for engine in stage.engines for c in engine.observed()["cancellations"]), None)

    cancelled = eventually("an engine sees the connection close", seen, within=5)["unix_ms"]
    took = max(0, cancelled - left)
    expect(took <= WITHIN_MS, f"the engine saw it after {took:.0f} ms")
    return f"{took:.0f} ms"


def running(stage):
    return sum(engine.observed()["concurrency"] for engine in stage.engines)


def begin(stage, stream, tokens=400):
    connection = Connection(stage.port)
    return connection.ask("POST", CHAT, somebody(), chat_body(stream=stream, tokens=tokens))


def before_the_first_byte(stream, abruptly):
    def play(stage, _):
        for engine in stage.engines:
            engine.behave(prefill_tokens_per_second=0.1)  # a minute and more of silent prefill
        connection = begin(stage, stream)
        eventually("an engine is at work", lambda: running(stage) == 1)
        return leave_and_measure(stage, connection, abruptly)

    return play


def in_the_middle(silent, abruptly):
    def play(stage, _):
        for engine in stage.engines:
            engine.behave(**({"fault": "stall-after-events=5"} if silent else {"decode_tokens_per_second": 20}))
        connection = begin(stage, stream=True)
        seen = b""
        for _, piece in connection.pieces(connection.read_head()):
            seen += piece
            if seen.count(b"data:") >= 5:
                break
        return leave_and_measure(stage, connection, abruptly)

    return play


def in_the_line(abruptly):
    def play(stage, _):
        for engine in stage.engines:
            engine.behave(decode_tokens_per_second=20)
        first = begin(stage, stream=True)
        first.read_head()
        second = begin(stage, stream=True)
        second.send(b"")
        expect(running(stage) == 1, "the second request should wait")
        holds_for(0.3, "the second request waits", lambda: running(stage) == 1)
        second.leave(abruptly)
        third = begin(stage, stream=False, tokens=1)
        first.leave()
        answer = third.read_answer()
        third.leave()
        expect(answer.status == 200, f"the one behind it got {answer}")
        received = sum(engine.observed()["received"] for engine in stage.engines)
        expect(received == 2, f"the engine received {received} requests, the one that left among them")
        return "never reached the engine; the next in line was answered"

    return play


for word, abruptly in (("FIN", False), ("RST", True)):
    end = word.lower()
    add(f"cancel-waiting-{end}", GROUP, f"A client that leaves ({word}) while it waits in the line never reaches an engine.",
        in_the_line(abruptly), engines=("fake",), needs="queue", settings={"request_max": 1}, alone=True)  # fmt: skip
    for stream in (True, False):
        kind = "stream" if stream else "whole"
        what = "streamed" if stream else "whole"
        add(f"cancel-prefill-{kind}-{end}", GROUP,
            f"A client leaves ({word}) before the first byte of a {what} answer: the engine sees it within {WITHIN_MS} ms.",
            before_the_first_byte(stream, abruptly), alone=True)  # fmt: skip
    for silent in (False, True):
        kind = "silent" if silent else "flowing"
        what = "a silent" if silent else "a flowing"
        add(f"cancel-{kind}-{end}", GROUP,
            f"A client leaves ({word}) in the middle of {what} stream: the engine sees it within {WITHIN_MS} ms.",
            in_the_middle(silent, abruptly), alone=True)  # fmt: skip
