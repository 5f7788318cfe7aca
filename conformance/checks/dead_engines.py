"""Engines that die, come back, or only seem to live."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from suite import check
from support.client import chat
from support.engines import answer_shortly
from support.waiting import eventually, expect


@check("killed-under-load", "dead engines", alone=True, spoils=True)
def killed_under_load(stage, _):
    """kill -9 of one of two engines under 16 clients loses no request that is not streamed."""
    outcomes, enough = [], threading.Event()
    for engine in stage.engines:
        engine.behave(prefill_tokens_per_second=1000)

    def client():
        while not enough.is_set():
            try:
                answer = chat(stage.port, text=uuid.uuid4().hex * 2)
                outcomes.append("answered" if answer.status == 200 and answer.clean else f"{answer.status}")
            except OSError as error:
                outcomes.append(repr(error))

    with ThreadPoolExecutor(16) as clients:
        running = [clients.submit(client) for _ in range(16)]
        try:
            eventually("both work", lambda: min(engine.asked() for engine in stage.engines), lambda n: n > 5)
            stage.a.kill()
            count = len(outcomes)
            eventually("many more are asked", lambda: len(outcomes) - count, lambda n: n > 150, within=30)
        finally:
            enough.set()
        for future in running:
            future.result()
    lost = [outcome for outcome in outcomes if outcome != "answered"]
    expect(not lost, f"{len(lost)} of {len(outcomes)} lost: {sorted(set(lost))[:4]}")
    return f"0 of {len(outcomes)} lost"


@check("returns", "dead engines", alone=True, spoils=True)
def returns(stage, _):
    """An engine that is started again gets work within 6 s."""
    stage.a.kill()
    for _ in range(4):
        chat(stage.port)
    eventually("it is left", lambda: chat(stage.port).status, lambda status: status == 200)
    stage.a.start()
    begun = time.monotonic()

    def gets_work():
        chat(stage.port)
        return stage.a.asked()

    eventually("it gets work", gets_work, within=6)
    return f"after {time.monotonic() - begun:.1f} s"


@check("all-dead", "dead engines", spoils=True)
def all_dead(stage, _):
    """With all engines dead, clients are told so with 502 or 503 in JSON within 10 s."""
    for engine in stage.engines:
        engine.kill()
    begun = time.monotonic()
    answer = chat(stage.port, timeout=15)
    took = time.monotonic() - begun
    expect(answer.status in (502, 503) and took < 10, f"{answer} after {took:.1f} s")
    expect(b"error" in answer.body and answer.body.lstrip().startswith(b"{"), f"not JSON: {answer.body[:80]!r}")
    return f"{answer.status} after {took:.1f} s"


@check("fast-failing", "dead engines", engines=("raw", "raw"), alone=True, spoils=True)
def fast_failing(stage, _):
    """An engine whose probes are fine and that resets every request costs no client an answer, and gets under 20 % of 200."""
    tried = []

    def reset(request, peer):
        if request.method == "POST":
            tried.append(request)
        peer.reset()
        return False

    stage.a.answer, stage.b.answer = reset, answer_shortly
    statuses = [chat(stage.port).status for _ in range(200)]
    lost = [status for status in statuses if status != 200]
    expect(not lost, f"{len(lost)} of 200 were lost: {sorted(set(lost))}")
    expect(len(tried) < 40, f"it was tried {len(tried)} times")
    return f"tried {len(tried)} times"
