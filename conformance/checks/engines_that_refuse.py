"""Engines that refuse or fail at once are always idle: their errors must not attract the work."""

import time

from suite import add, check
from support.client import CHAT, chat
from support.engines import answer_shortly, whole_answer
from support.waiting import eventually, expect

REFUSAL = b'{"error":{"message":"not now","type":"server_error","code":"refused"}}'
ENGINES = ("vllm", "vllm")


def refuses(stage, status, more=""):
    """The first engine refuses every request at once, the other one takes a moment. Returns the paths that were refused, a list
    that grows."""
    refused = []

    def refuse(request, peer):
        refused.append(request.target)
        peer.send(whole_answer(REFUSAL, status=status, more=more))

    def answer(request, peer):
        time.sleep(0.02)
        answer_shortly(request, peer)

    stage.a.answer, stage.b.answer = refuse, answer
    return refused


def twenty(stage, stream=False):
    return [chat(stage.port, stream=stream).status for _ in range(20)]


def moved(stage, status, stream):
    refused = refuses(stage, status)
    statuses = twenty(stage, stream)
    while CHAT not in refused and len(statuses) < 60:  # some choose at random among idle engines
        statuses += twenty(stage, stream)
    lost = [status for status in statuses if status != 200]
    expect(CHAT in refused, "the refusing engine was never asked: nothing was shown")
    expect(len(lost) <= len(statuses) // 10, f"{len(lost)} of {len(statuses)} got {sorted(set(lost))}")
    return f"{len(lost)} of {len(statuses)} lost, {refused.count(CHAT)} tried there"


for code, name in ((500, "Internal Server Error"), (507, "Insufficient Storage"), (529, "Overloaded")):
    for stream, what in ((False, ""), (True, " of a stream")):
        add(
            f"refuses-{code}{'-stream' if stream else ''}", "engines that refuse",
            f"An engine that answers {code} at once costs at most 2 of 20 requests{what} an answer: the other engine answers.",
            lambda stage, _, status=f"{code} {name}", stream=stream: moved(stage, status, stream), engines=ENGINES, spoils=True,
        )  # fmt: skip


@check("refuses-429", "engines that refuse", engines=ENGINES, spoils=True)
def full(stage, _):
    """An engine that answers 429 with `Retry-After: 30` costs no client an answer, and gets at most 5 of 20 requests."""
    refused = refuses(stage, "429 Too Many Requests", "Retry-After: 30\r\n")
    statuses = twenty(stage)
    while CHAT not in refused and len(statuses) < 60:
        statuses += twenty(stage)
    lost = [status for status in statuses if status != 200]
    expect(CHAT in refused, "the full engine was never asked: nothing was shown")
    expect(not lost, f"{len(lost)} of {len(statuses)} got {sorted(set(lost))}")
    expect(refused.count(CHAT) <= 5, f"it was asked {refused.count(CHAT)} times")
    return f"asked {refused.count(CHAT)} times"


@check("health-503", "engines that refuse", engines=ENGINES, spoils=True)
def ill(stage, _):
    """An engine whose `/health` says 503, though it answers requests and lists its models, gets none of 20 requests after 8 s."""
    stage.a.health = "503 Service Unavailable"
    begun = time.monotonic()

    def left_alone():
        before = stage.a.asked()
        statuses = twenty(stage)
        return stage.a.asked() - before, statuses

    eventually("it gets no work", left_alone, lambda seen: seen == (0, [200] * 20), within=8, every=0.2)
    left = time.monotonic() - begun
    stage.a.health, before = "200 OK", stage.a.asked()
    eventually("it gets work again", lambda: (chat(stage.port), stage.a.asked() - before)[1], within=8)
    return f"left alone after {left:.1f} s"
