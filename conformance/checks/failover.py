"""Before a byte of an answer has gone to the client, another engine is tried."""

import time

from suite import add, check
from support.client import Connection, chat, chat_body, CHAT
from support.engines import CHAT_ANSWER, whole_answer
from support.waiting import expect

FAULTS = {
    "reset": ("reset-before-answer", False, "resets the connection before it answers"),
    "close": ("close-before-answer", False, "closes the connection before it answers"),
    "503": ("status=503", False, "answers 503"),
    "head-then-reset": ("reset-after-headers", True, "sends the head of a 200 stream and then resets"),
}


def moved(stage, fault, stream):
    stage.a.behave(fault=fault)
    answers = [chat(stage.port, stream=stream, tokens=3) for _ in range(6)]
    while not stage.a.asked() and len(answers) < 40:  # some choose at random among idle engines
        answers.append(chat(stage.port, stream=stream, tokens=3))
    lost = [a.status for a in answers if a.status != 200 or not a.clean]
    expect(not lost, f"{len(lost)} of {len(answers)} requests were lost: {lost}")
    expect(stage.a.asked(), "the failing engine was never asked: nothing was shown")
    return f"{len(answers)} of {len(answers)} answered"


for word, (fault, stream, what) in FAULTS.items():
    add(
        f"failover-{word}", "fail-over", f"A request whose engine {what} is answered by the other one.",
        lambda stage, _, fault=fault, stream=stream: moved(stage, fault, stream), spoils=True,
    )  # fmt: skip


@check("failover-refused", "fail-over", spoils=True)
def refused(stage, _):
    """A request whose engine refuses the connection is answered by the other one."""
    stage.a.kill()
    lost = [a.status for a in (chat(stage.port) for _ in range(6)) if a.status != 200]
    expect(not lost, f"{len(lost)} of 6 requests were lost: {lost}")
    return "6 of 6 answered"


@check("failover-frozen", "fail-over", spoils=True)
def frozen(stage, _):
    """Requests to an engine that has frozen (accepts, never answers) are answered by the other one within 8 s."""
    stage.a.freeze()
    took = []
    while len(took) < 4 or len(took) < 40 and max(took) < 0.5:  # some choose at random among idle engines
        started = time.monotonic()
        answer = chat(stage.port, timeout=12)
        took.append(time.monotonic() - started)
        expect(answer.status == 200, f"answered {answer}")
    expect(max(took) >= 0.5, "the frozen engine was never asked: nothing was shown")
    expect(max(took) <= 8, f"the slowest took {max(took):.1f} s")
    return f"slowest {max(took):.1f} s, {len(took)} in {sum(took):.1f} s"


@check("failover-stale-connection", "fail-over", engines=("raw", "raw"), spoils=True)
def stale_connection(stage, _):
    """A kept connection that the engine closes just as the next request comes costs no error."""
    used = set()

    def answer(request, peer):
        if id(peer) in used:
            return False
        used.add(id(peer))
        peer.send(whole_answer(CHAT_ANSWER))

    for engine in stage.engines:
        engine.answer = answer
    with Connection(stage.port) as client:
        statuses = [client.ask("POST", CHAT, body=chat_body()).read_answer().status for _ in range(10)]
    expect(statuses == [200] * 10, f"{statuses}")
    return "10 of 10 answered"
