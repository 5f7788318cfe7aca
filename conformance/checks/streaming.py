"""Streams pass as they come, and silence is survived."""

import re
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from suite import check
from support.client import CHAT, Connection, chat_body, somebody
from support.engines import STREAM_END, STREAM_HEAD, event
from support.waiting import eventually, expect


@check("streaming-not-held-back", "streaming", alone=True)
def not_held_back(stage, _):
    """Events of a stream are not held back: at 20 tokens a second each comes within 50 ms of its turn."""
    for engine in stage.engines:
        engine.behave(decode_tokens_per_second=20)
    # A busy machine delays the engines, too: what counts is what the proxy adds.
    with ThreadPoolExecutor(1) as clients:
        beside = clients.submit(gaps, stage.a.port)
        median, worst = gaps(stage.port)
        direct = beside.result()[1]
    expect(worst < 50 + max(50, direct), f"95 % of the gaps are up to {worst:.0f} ms; at the engine itself {direct:.0f} ms")
    return f"gaps {median:.0f} ms in the median, {worst:.0f} ms at 95 %"


def gaps(port):
    """Milliseconds between the tokens of a stream: in the median, and what 95 % do not exceed."""
    with Connection(port) as client:
        answer = client.ask("POST", CHAT, somebody(), chat_body(stream=True, tokens=30)).read_head()
        times = [when for when, part in client.pieces(answer) if b"content" in part]
    found = [(later - earlier) * 1000 for earlier, later in zip(times, times[1:])]
    expect(len(found) >= 20, f"only {len(times)} pieces came for 30 tokens")
    return statistics.median(found), statistics.quantiles(found, n=20)[-1]


@check("streaming-marked", "streaming", needs="passes_fields")
def marked(stage, _):
    """Event streams are marked so that no proxy in front holds them back (X-Accel-Buffering: no)."""
    with Connection(stage.port) as client:
        answer = client.ask("POST", CHAT, [*somebody(), ("X-Fake-Fault", "chunk-extensions")], chat_body(stream=True)).read_answer()
    expect(answer.field("X-Accel-Buffering") == "no", f"X-Accel-Buffering is {answer.field('X-Accel-Buffering')}")


def prefill(stage, seconds):
    for engine in stage.engines:
        engine.behave(prefill_tokens_per_second=100)
    # A text of its own: engines remember prompts, and what they remember is not read again.
    text = uuid.uuid4().hex + "x" * (seconds * 400)
    begun = time.monotonic()
    with Connection(stage.port, timeout=seconds + 20) as client:
        answer = client.ask("POST", CHAT, somebody(), chat_body(stream=True, tokens=3, text=text)).read_answer()
    took = time.monotonic() - begun
    expect(answer.status == 200 and answer.clean and b"[DONE]" in answer.body, f"{answer} after {took:.0f} s")
    expect(took >= seconds, f"it was silent for {took:.0f} s only: nothing was shown")


@check("silence-20", "streaming")
def silence_20(stage, _):
    """A prefill that is silent for 20 s is survived."""
    prefill(stage, 20)


@check("silence-75", "streaming", heavy=True)
def silence_75(stage, _):
    """A prefill that is silent for 75 s is survived."""
    prefill(stage, 75)


@check("silence-330", "streaming", heavy=True)
def silence_330(stage, _):
    """A prefill that is silent for 330 s is survived."""
    prefill(stage, 330)


def signs_of_life(stage, path, mark):
    for engine in stage.engines:
        engine.behave(prefill_tokens_per_second=100)
    with Connection(stage.port) as client:
        client.ask("POST", path, somebody(), chat_body(stream=True, tokens=3, text=uuid.uuid4().hex + "x" * 1600))
        answer = client.read_answer()
    count = len(re.findall(mark, answer.body.partition(b"data: {" if path == CHAT else b"event: message_start")[0], re.MULTILINE))
    expect(answer.status == 200 and answer.clean, f"{answer}")
    expect(count >= 2, f"{count} signs in 4 s of silence; it begins with {answer.body[:100]!r}")


@check("keep-alive-openai", "streaming", needs="keep_alive_comments", keep_alive="1s")
def openai_comments(stage, _):
    """While its prefill is silent, a streaming client gets comments."""
    signs_of_life(stage, CHAT, rb"^:.*\n\n")


@check("keep-alive-anthropic", "streaming", needs="keep_alive_comments", keep_alive="1s")
def anthropic_pings(stage, _):
    """In Anthropic's API these are ping events."""
    signs_of_life(stage, "/v1/messages", rb"^event: ping\n")


@check("keep-alive-begun", "streaming", engines=("raw", "raw"), needs="keep_alive_comments", keep_alive="1s")
def begun(stage, _):
    """When a stream falls silent that has begun, its client gets comments, too."""

    def pause(request, peer):
        peer.send(STREAM_HEAD + event("Good"))
        time.sleep(3.5)
        peer.send(event(" day.") + STREAM_END)

    for engine in stage.engines:
        engine.answer = pause
    with Connection(stage.port) as client:
        answer = client.ask("POST", CHAT, somebody(), chat_body(stream=True)).read_answer()
    count = len(re.findall(rb"^:.*\n\n", answer.body, re.MULTILINE))
    expect(answer.clean and b"[DONE]" in answer.body and count >= 2, f"{count} comments in 3.5 s of silence; {answer}")


@check("keep-alive-ollama", "streaming", needs=("keep_alive_comments", "passes_fields"), any_path=True, spoils=True,
       keep_alive="1s")  # fmt: skip
def nothing_for_ollama(stage, _):
    """Ollama's API has no form for them: nothing is sent before the answer."""
    for engine in stage.engines:
        engine.behave(kind="ollama")
    with Connection(stage.port) as client:
        client.ask("POST", "/api/chat", [*somebody(), ("X-Fake-Fault", "stall-before-answer")], chat_body(stream=True))
        eventually("an engine has it", lambda: any(engine.saw("/api/chat") for engine in stage.engines))
        client.is_closed_within(2.5)
        body = client.buffer.partition(b"\r\n\r\n")[2]
    expect(not body, f"it got {body[:80]!r}")


@check("keep-alive-queued", "streaming", needs=("keep_alive_comments", "queue"), keep_alive="1s", request_max=1)
def queued_comments(stage, _):
    """A streaming client that waits in the line is told how many are ahead."""
    held = [Connection(stage.port).ask("POST", CHAT, [*somebody(), ("X-Fake-Fault", "stall-before-answer")], chat_body()) for _ in "AB"]
    eventually("both engines are taken", lambda: sum(e.working() for e in stage.engines), lambda n: n == 2)
    with Connection(stage.port) as client:
        client.ask("POST", CHAT, somebody(), chat_body(stream=True))
        _, part = next(client.pieces(client.read_head()))
        expect(part.startswith(b": waiting, "), f"it is told {part!r}")
    for one in held:
        one.leave()


@check("keep-alive-between-events", "streaming", needs=("keep_alive_comments", "passes_fields"), keep_alive="1s")
def between_events(stage, _):
    """Comments stand between events only, however oddly the engine cuts them."""
    with Connection(stage.port) as client:
        fields = [*somebody(), ("X-Fake-Fault", "slow-body=12")]
        answer = client.ask("POST", CHAT, fields, chat_body(stream=True, tokens=4)).read_answer()
    blocks = [block for block in answer.body.split(b"\n\n") if block]
    wrong = [block for block in blocks if not block.startswith((b"data: ", b": ")) or b"\n" in block]
    expect(answer.clean and not wrong, f"{wrong[:2]}")
