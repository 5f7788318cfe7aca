"""Pages of other origins (CORS): browsers show them only what names their origin, errors too."""

from suite import check
from support.client import CHAT, Connection, chat_body, somebody
from support.waiting import expect

PAGE = ("Origin", "http://page.example")
WANTED = [PAGE, ("Access-Control-Request-Method", "POST"),
          ("Access-Control-Request-Headers", "authorization,content-type,x-stainless-os")]  # fmt: skip
ALLOWED = {"*", PAGE[1]}


def may_read(answer):
    expect(answer.all("Access-Control-Allow-Origin") and set(answer.all("Access-Control-Allow-Origin")) <= ALLOWED,
           f"Access-Control-Allow-Origin: {answer.all('Access-Control-Allow-Origin')} in {answer}")  # fmt: skip
    expect(len(answer.all("Access-Control-Allow-Origin")) == 1, "it names the origin twice, which browsers refuse")


def allowed(stage):
    answer = stage.ask("OPTIONS", CHAT, WANTED)
    expect(200 <= answer.status < 300, f"{answer}")
    may_read(answer)
    listed = ",".join(answer.all("Access-Control-Allow-Headers")).lower().replace(" ", "").split(",")
    expect("*" in listed or {"authorization", "content-type", "x-stainless-os"} <= set(listed), f"allowed fields: {listed}")


@check("origin-preflight", "origins")
def preflight(stage, _):
    """A page of another origin may ask: its preflight is answered with what it may send. The engines would say so themselves."""
    allowed(stage)


@check("origin-answer", "origins")
def answer(stage, _):
    """A page of another origin may read the answer to a chat."""
    may_read(stage.ask("POST", CHAT, [*somebody(), PAGE], chat_body()))


@check("origin-all-dead", "origins", spoils=True)
def all_dead(stage, _):
    """With all engines dead, a page of another origin still can read why: preflight and error name its origin."""
    for engine in stage.engines:
        engine.kill()
    stage.ask("POST", CHAT, somebody(), chat_body())
    allowed(stage)
    answer = stage.ask("POST", CHAT, [*somebody(), PAGE], chat_body())
    expect(answer.status in (502, 503), f"{answer}")
    may_read(answer)


@check("origin-early-head", "origins", needs=("keep_alive_comments", "early_streams"), keep_alive="1s")
def early_head(stage, _):
    """A stream that begins before its answer, with signs of life, can be read by a page of another origin."""
    for engine in stage.engines:
        engine.behave(prefill_tokens_per_second=100)
    with Connection(stage.port) as client:
        client.ask("POST", CHAT, [*somebody(), PAGE], chat_body(stream=True, tokens=2, text="x" * 1200))
        answer = client.read_answer()
    expect(answer.status == 200 and b"[DONE]" in answer.body, f"{answer}")
    expect(answer.body.startswith(b":"), "there was no sign of life before the answer: nothing was shown")
    may_read(answer)
