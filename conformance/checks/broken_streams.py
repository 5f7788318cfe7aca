"""Once bytes have gone to the client, a broken answer ends visibly, and says so in the caller's API."""

import threading

from suite import add, check
from support.client import CHAT, Connection, Cut, chat_body, somebody
from support.engines import STREAM_HEAD, chunk, event
from support.waiting import expect

APIS = {
    "openai": (CHAT, {}, b'data: {"error"', "an OpenAI error event", False),
    "anthropic": ("/v1/messages", {}, b"event: error\n", "Anthropic's `event: error`", True),
    "ollama": ("/api/chat", {"kind": "ollama"}, b'{"error"', "Ollama's error line", True),
}


def broken(stage, path, behaviour, fault, mark):
    for engine in stage.engines:
        engine.behave(**behaviour)
    with Connection(stage.port) as client:
        fields = [*somebody(), ("X-Fake-Fault", fault)]
        answer = client.ask("POST", path, fields, chat_body(stream=True, tokens=30)).read_answer()
    expect(answer.status == 200, f"answered {answer}")
    expect(not answer.clean, "the answer ended as if it were whole")
    expect(mark in answer.body, f"nothing was said inside the stream; its end: {answer.body[-120:]!r}")


for word, (path, behaviour, mark, what, any_path) in APIS.items():
    for how, fault in (("reset", "reset-after-events=3"), ("closed", "close-after-events=3")):
        add(
            f"broken-{word}-{how}", "broken streams", f"A stream that is {how} in the middle ends visibly, with {what}.",
            lambda stage, _, path=path, behaviour=behaviour, fault=fault, mark=mark: broken(stage, path, behaviour, fault, mark),
            any_path=any_path, spoils=True, needs="passes_fields",
        )  # fmt: skip


@check("broken-visible", "broken streams", spoils=True, needs="passes_fields")
def visible(stage, _):
    """A stream that breaks in the middle is never ended as if it were whole."""
    with Connection(stage.port) as client:
        fields = [*somebody(), ("X-Fake-Fault", "reset-after-events=3")]
        answer = client.ask("POST", CHAT, fields, chat_body(stream=True, tokens=30)).read_answer()
    expect(not answer.clean, "the answer ended as if it were whole")


@check("broken-length", "broken streams", spoils=True, needs="passes_fields")
def with_length(stage, _):
    """An answer with a length that breaks off is not ended as if it were whole."""
    with Connection(stage.port) as client:
        try:
            answer = client.ask("POST", CHAT, [*somebody(), ("X-Fake-Fault", "wrong-length")], chat_body()).read_answer()
        except Cut:
            return "closed without an answer"
    expect(not answer.clean or answer.status >= 500, f"{answer}")


def cut_by_hand(stage, sent, stream=True):
    """An engine sends this, and resets once the client has some of it. Returns the client's answer."""
    arrived = threading.Event()

    def play(request, peer):
        peer.send(sent)
        arrived.wait(5)
        peer.reset()
        return False

    for engine in stage.engines:
        engine.answer = play
    with Connection(stage.port) as client:
        answer = client.ask("POST", CHAT, somebody(), chat_body(stream=stream)).read_head()
        for _, part in client.pieces(answer):
            answer.body += part
            arrived.set()
    return answer


@check("broken-in-event", "broken streams", engines=("raw", "raw"), spoils=True)
def in_event(stage, _):
    """The error of a stream that breaks inside an event is an event of its own, which a client can read."""
    answer = cut_by_hand(stage, STREAM_HEAD + event("Good day.") + chunk(b'data: {"id":"chatcmpl-raw","choi'))
    expect(not answer.clean, "the answer ended as if it were whole")
    events = answer.body.replace(b"\r\n", b"\n").split(b"\n\n")
    expect(any(e.startswith(b'data: {"error"') for e in events), f"no event of its own; its end: {answer.body[-160:]!r}")


@check("broken-until-close", "broken streams", engines=("raw", "raw"), spoils=True)
def until_close(stage, _):
    """An answer without a length that is reset is not ended as if it were whole."""
    answer = cut_by_hand(stage, b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"id":', stream=False)
    expect(not answer.clean, f"{answer}")
