"""Work goes where the least of it is."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

from suite import check
from support.client import CHAT, Connection, ask, chat, chat_body, somebody
from support.engines import answer_shortly
from support.waiting import eventually, expect

ENGINES = ("vllm", "vllm")


@check("balance-at-once", "balance", engines=ENGINES)
def at_once(stage, _):
    """Sixteen slow requests of different clients at once are spread: each of two engines gets 6 to 10 of them."""
    enough = threading.Event()

    def slowly(request, peer):
        enough.wait(10)
        answer_shortly(request, peer)

    for engine in stage.engines:
        engine.answer = slowly
    with ThreadPoolExecutor(16) as clients:
        running = [clients.submit(chat, stage.port) for _ in range(16)]
        try:
            seen = eventually("all are at work", lambda: [e.asked() for e in stage.engines], lambda seen: sum(seen) == 16)
        finally:
            enough.set()
        statuses = [one.result().status for one in running]
    expect(statuses == [200] * 16, f"{statuses}")
    expect(max(seen) <= 10, f"{seen[0]} and {seen[1]}")
    return f"{seen[0]} and {seen[1]}"


@check("balance-long", "balance", engines=ENGINES)
def long_requests(stage, _):
    """While an engine works at a long request, at most 4 of the next 20, one after the other, go there, not to the idle one."""
    enough, held = threading.Event(), []

    def hold(request, peer):
        if b"HELD" in request.body:
            held.append(peer)
            enough.wait(10)
        answer_shortly(request, peer)

    for engine in stage.engines:
        engine.answer = hold
    with Connection(stage.port) as long:
        long.ask("POST", CHAT, somebody(), chat_body(text="HELD"))
        eventually("the long one is at work", lambda: held)
        busy = next(engine for engine in stage.engines if held[0] in engine.peers)
        try:
            statuses = [chat(stage.port).status for _ in range(20)]
        finally:
            enough.set()
        last = long.read_answer().status
    expect(statuses == [200] * 20 and last == 200, f"{statuses}, the long one {last}")
    there = busy.asked() - 1
    expect(there <= 4, f"{there} of 20 went to the engine at work")
    return f"{there} of 20 went to the engine at work"


@check("balance-no-model", "balance", engines=ENGINES)
def no_model(stage, _):
    """Requests that name no model are spread over engines that have the same single model: of 20, each gets 3 at least."""
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}).encode()
    statuses = [ask(stage.port, "POST", CHAT, somebody(), body).status for _ in range(20)]
    expect(statuses == [200] * 20, f"{statuses}")
    seen = [engine.asked() for engine in stage.engines]
    expect(min(seen) >= 3, f"{seen[0]} and {seen[1]}")
    return f"{seen[0]} and {seen[1]}"
