"""An engine fails before its first byte: the client need not know."""

import threading
import time

from suite import add, check
from support.client import CHAT, Connection, chat, chat_body, somebody
from support.engines import STREAM_HEAD, is_stream, whole_answer
from support.waiting import eventually, expect

GROUP = "fail-over"
REQUESTS = 12


def resets(request, peer):
    peer.reset()
    return False


def closes(request, peer):
    return False


def refuses(request, peer):
    body = b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'
    peer.send(whole_answer(body, status="503 Service Unavailable"))


def resets_after_the_head(request, peer):
    if not is_stream(request):
        return resets(request, peer)
    peer.send(STREAM_HEAD)
    time.sleep(0.02)  # so that the head travels by itself
    return resets(request, peer)


FAULTS = {
    "reset": (resets, "resets the connection instead of answering"),
    "close": (closes, "closes the connection instead of answering"),
    "503": (refuses, "answers 503"),
    "head-then-reset": (resets_after_the_head, "sends the head of a stream and then resets the connection"),
}


def moved(fault, stream):
    def play(stage, _):
        stage.a.answer = fault
        answers = [chat(stage.port, stream=stream) for _ in range(REQUESTS)]
        tried = len(stage.a.requests)
        wrong = [answer for answer in answers if answer.status != 200 or not answer.clean or not answer.body]
        expect(not wrong, f"{len(wrong)} of {REQUESTS} failed ({tried} met the bad engine); the first: {wrong[:1] and wrong[0]}")
        expect(tried, "the bad engine was never asked")
        return f"{REQUESTS} of {REQUESTS} answered; {tried} met the bad engine"

    return play


for id, (fault, what) in FAULTS.items():
    add(f"failover-{id}", GROUP, f"An engine {what}: another engine answers.",
        moved(fault, stream=id == "head-then-reset"), engines=("raw", "fake"), spoils=True)  # fmt: skip


@check("failover-refused", GROUP, spoils=True)
def a_refused_connection_is_tried_elsewhere(stage, _):
    """An engine has just died and refuses connections: another engine answers."""
    stage.a.kill()
    answers = [chat(stage.port) for _ in range(REQUESTS)]
    wrong = [answer for answer in answers if answer.status != 200]
    expect(not wrong, f"{len(wrong)} of {REQUESTS} failed; the first: {wrong[:1] and wrong[0]}")
    return f"{REQUESTS} of {REQUESTS} answered"


@check("failover-black-hole", GROUP, spoils=True, alone=True)
def a_black_hole_does_not_swallow_requests(stage, _):
    """An engine that accepts connections and stays silent, its probes too (SIGSTOP): its requests are answered elsewhere within
    8 s."""
    stage.a.freeze()
    took, lock = [], threading.Lock()

    def client():
        begun = time.monotonic()
        try:
            answer = chat(stage.port, timeout=8)
            outcome = (time.monotonic() - begun) if answer.status == 200 else f"{answer}"
        except OSError as error:
            outcome = f"{type(error).__name__} after {time.monotonic() - begun:.1f} s"
        with lock:
            took.append(outcome)

    clients = [threading.Thread(target=client) for _ in range(6)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    lost = [outcome for outcome in took if isinstance(outcome, str)]
    expect(not lost, f"{len(lost)} of {len(took)} not answered; the first: {lost[:1] and lost[0]}")
    return f"6 of 6 answered, the slowest after {max(took):.1f} s"


@check("failover-idle-closed", GROUP, engines=("fake",))
def a_kept_connection_that_the_engine_closed_costs_nothing(stage, _):
    """A kept connection that the engine closes while it is idle costs no error."""
    stage.a.behave(idle_timeout_ms=150)
    answers = []
    with Connection(stage.port) as connection:
        for number in range(12):
            connection.ask("POST", CHAT, somebody(), chat_body())
            answers.append(connection.read_answer())
            # About as long as the engine keeps a connection: some requests meet the very moment of its closing.
            time.sleep(0.14 + 0.004 * (number % 6))
    stage.a.behave(idle_timeout_ms=5000)
    wrong = [answer for answer in answers if answer.status != 200]
    expect(not wrong, f"{len(wrong)} of {len(answers)} failed; the first: {wrong[:1] and wrong[0]}")
    return f"{len(answers)} of {len(answers)} answered"


@check("failover-raw-idle-reset", GROUP, engines=("raw",), spoils=True)
def a_kept_connection_that_dies_when_used_costs_nothing(stage, _):
    """A kept connection that the engine resets as soon as it is used again costs no error."""
    used, stale = set(), []

    def answer(request, peer):
        if id(peer) in used:
            stale.append(peer)
            peer.reset()
            return False
        used.add(id(peer))
        peer.send(whole_answer(b"{}"))
        return True

    stage.a.answer = answer
    answers = [chat(stage.port) for _ in range(8)]
    eventually("all requests were counted", lambda: len(stage.a.requests) >= 8)
    wrong = [answer for answer in answers if answer.status != 200]
    expect(not wrong, f"{len(wrong)} of 8 failed; the first: {wrong[:1] and wrong[0]}")
    return f"8 of 8 answered, {len(stale)} met a dead connection"
