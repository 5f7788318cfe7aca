"""Once bytes have gone to the client, a broken answer ends visibly, and says so in the caller's API."""

from suite import add, check
from support.client import CHAT, Connection, Cut, chat_body, somebody
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
