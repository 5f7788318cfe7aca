"""The configuration changes under running work."""

import signal

import pytest

from support.balancer import chat_body, server
from support.http import events
from support.waiting import becomes, eventually

CHAT = "/v1/chat/completions"


@pytest.fixture
def balancer(start_balancer, slow_alpha):
    return start_balancer({"servers": {"slow": server(slow_alpha)}})


def names(balancer):
    return list(balancer.snapshot()["servers"])


def test_a_changed_file_is_noticed_and_a_running_stream_is_not_touched(balancer, slow_alpha, alpha):
    stream = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1000, stream=True))
    beginning = stream.read_some()
    balancer.write({"servers": {"alpha": server(alpha)}})
    eventually("the new server is known, the old one is gone or draining", lambda: "alpha" in names(balancer), within=10)
    balancer.wait_until_up("alpha")
    assert slow_alpha.processing() == 1, "the stream goes on"
    assert balancer.chat(chat_body("slow-byte", max_tokens=2)).headers["X-Balancer-Server"] == "alpha", (
        "no new work for the old one"
    )
    rest, clean = stream.read_all()
    seen = events(beginning + rest)
    assert clean and seen[-1] == "[DONE]" and sum(bool(e["choices"]) for e in seen[:-1]) >= 1000
    eventually("the old server is forgotten", lambda: names(balancer), becomes(["alpha"]))


def test_sighup_reloads(balancer, alpha, slow_alpha):
    balancer.write({"servers": {"slow": server(slow_alpha), "alpha": server(alpha)}})
    balancer.signal(signal.SIGHUP)
    eventually("the new server is known", lambda: names(balancer), becomes(["slow", "alpha"]), within=3)


def test_a_bad_file_changes_nothing_and_is_reported_until_it_is_good_again(balancer, slow_alpha):
    assert balancer.snapshot()["config"]["error"] is None
    balancer.write('{"servers": {"slow": {"urll": "http://127.0.0.1:1"}}}')
    balancer.signal(signal.SIGHUP)
    message = eventually("the error is shown", lambda: balancer.snapshot()["config"]["error"])
    assert "urll" in str(message) and "url" in str(message)
    assert "urll" in balancer.output(), "and it is in the log"
    assert balancer.chat(chat_body("slow-byte", max_tokens=2)).status == 200
    balancer.write({"servers": {"slow": server(slow_alpha)}})
    balancer.signal(signal.SIGHUP)
    eventually("the error is gone", lambda: balancer.snapshot()["config"]["error"], becomes(None))


def test_reload_by_the_api_answers_with_the_problems(balancer, slow_alpha, alpha):
    balancer.write("{")
    bad = balancer.request("POST", "/admin/reload")
    assert bad.status == 422 and b"server-list.json" in bad.body, bad
    balancer.write({"servers": {"slow": server(slow_alpha), "alpha": server(alpha)}})
    assert balancer.request("POST", "/admin/reload").status == 200
    assert names(balancer) == ["slow", "alpha"]


def test_waiting_requests_survive_a_reload(start_balancer, slow_alpha):
    limited = {"servers": {"slow": server(slow_alpha, request_max=1)}}
    balancer = start_balancer(limited)
    running = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1500, stream=True))
    running.read_some()
    waiting = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=2))
    eventually("one waits", balancer.waiting, becomes(1))
    balancer.write({"servers": {"slow": server(slow_alpha, request_max=2)}})
    balancer.signal(signal.SIGHUP)
    assert waiting.wait_for_head().status == 200, "the higher limit lets it in while the first one still runs"
    assert slow_alpha.processing() == 1
    for client in (running, waiting):
        client.leave()
