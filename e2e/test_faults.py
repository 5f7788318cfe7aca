"""Engines die under load, come back, and nobody is left guessing."""

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from support.balancer import chat_body, server
from support.http import events
from support.waiting import eventually

CHAT = "/v1/chat/completions"


@dataclass
class Outcome:
    """How one request under load ended: answered, failed for all to see, or (never!) cut short in silence."""

    started_after_the_kill: bool
    streamed: bool
    answered: bool
    visible_failure: bool
    detail: str


def ask_once(balancer, streamed, killed):
    after = killed.is_set()
    exchange = balancer.exchange(CHAT, chat_body("tiny-byte", max_tokens=400, stream=streamed))
    try:
        head = exchange.wait_for_head()
        body, clean = exchange.read_all()
    except OSError as error:
        return Outcome(after, streamed, False, True, repr(error))
    finally:
        exchange.leave()
    detail = f"{head.status}, attempts {head.headers.get('X-Balancer-Attempts', 1)}, clean end {clean}, …{body[-200:]!r}"
    if head.status != 200:
        answered, visible = False, True
    elif streamed:
        answered, visible = clean and body.rstrip().endswith(b"data: [DONE]"), not clean and b'data: {"error"' in body
    else:
        answered, visible = clean and json.loads(body)["usage"]["completion_tokens"] == 400, not clean
    return Outcome(after, streamed, answered, visible, detail)


@pytest.fixture
def pair(start_llama_server):
    return start_llama_server("steady"), start_llama_server("doomed")


@pytest.fixture
def balancer(start_balancer, pair):
    steady, doomed = pair
    return start_balancer({"servers": {"doomed": server(doomed), "steady": server(steady)}})


def test_kill_9_of_one_server_under_load_loses_nothing_in_silence(balancer, pair):
    steady, doomed = pair
    killed, enough, outcomes = threading.Event(), threading.Event(), []

    def client(number):
        while not enough.is_set():
            outcomes.append(ask_once(balancer, streamed=number % 2 == 0, killed=killed))

    with ThreadPoolExecutor(8) as clients:
        running = [clients.submit(client, number) for number in range(8)]
        try:
            eventually("both servers are at work", lambda: min(steady.processing(), doomed.processing()))
            doomed.kill()
            killed.set()
            eventually("it is out", lambda: balancer.state("doomed"), lambda state: state != "up", within=5)
            eventually(
                "many more are asked", lambda: sum(o.started_after_the_kill for o in outcomes), lambda n: n > 40, within=30
            )
        finally:
            enough.set()
        for future in running:
            future.result()  # whatever a client raised, is raised here

    assert all(o.answered or o.visible_failure for o in outcomes), [o for o in outcomes if not (o.answered or o.visible_failure)]
    lost = [o for o in outcomes if not o.answered]
    assert not [o for o in lost if o.started_after_the_kill], f"requests begun after the kill are all answered, but: {lost}"
    assert not [o for o in lost if not o.streamed], f"where no byte had gone out, another server answers, but: {lost}"
    assert [o for o in outcomes if o.answered and "attempts 1" not in o.detail], "some were tried again on the other server"
    balancer.wait_until_idle()


def test_a_killed_server_is_out_within_5_seconds_and_back_soon_after_its_return(balancer, pair, start_llama_server):
    _, doomed = pair
    doomed.kill()
    eventually("it is out", lambda: balancer.state("doomed"), lambda state: state != "up", within=5)
    assert balancer.backend("doomed")["reason"], "the snapshot says why"
    assert balancer.chat(chat_body("tiny-byte")).headers["X-Balancer-Server"] == "steady"

    start_llama_server("doomed-again", port=doomed.port)
    balancer.wait_until_up("doomed", within=6)
    homes = {balancer.chat(chat_body("tiny-byte"), {"X-Session-Id": f"new-{n}"}).headers["X-Balancer-Server"] for n in range(4)}
    assert "doomed" in homes, "the first server in the list gets work again"


def test_a_stream_whose_engine_dies_ends_with_an_error_event_and_without_a_clean_end(start_balancer, start_llama_server):
    engine = start_llama_server("doomed", "slow-byte")
    balancer = start_balancer({"servers": {"doomed": server(engine)}})
    stream = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1500, stream=True))
    beginning = stream.read_some()
    engine.kill()
    rest, clean = stream.read_all()
    last = events(beginning + rest)[-1]
    assert not clean, "the connection is closed without the terminating chunk"
    assert "error" in last and last["error"]["message"], last
    balancer.wait_until_idle()


def test_an_anthropic_stream_whose_engine_dies_ends_with_its_own_kind_of_error_event(start_balancer, start_llama_server):
    engine = start_llama_server("doomed", "slow-byte")
    balancer = start_balancer({"servers": {"doomed": server(engine)}})
    stream = balancer.exchange("/v1/messages", chat_body("slow-byte", max_tokens=1500, stream=True))
    beginning = stream.read_some()
    engine.kill()
    rest, clean = stream.read_all()
    assert not clean and b"event: error\n" in beginning + rest, rest[-300:]
    assert events(beginning + rest)[-1]["type"] == "error"


def test_a_stopped_server_is_out_and_its_unanswered_work_moves(start_balancer, start_llama_server):
    """SIGSTOP: connections are accepted by the kernel and nothing ever comes back, as behind a cable that was pulled."""
    frozen, steady = start_llama_server("frozen"), start_llama_server("steady")
    balancer = start_balancer({"servers": {"frozen": server(frozen), "steady": server(steady)}})
    frozen.signal(signal.SIGSTOP)
    answer = balancer.chat(chat_body("tiny-byte"))
    assert (answer.status, answer.headers["X-Balancer-Server"]) == (200, "steady"), answer
    assert balancer.state("frozen") != "up"
    frozen.signal(signal.SIGCONT)
    balancer.wait_until_up("frozen", within=6)
    balancer.wait_until_idle()
