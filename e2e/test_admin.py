"""Looking inside and taking a hand: drain, explain, cancel, metrics."""

import re

import pytest

from support.balancer import chat_body, server
from support.http import events
from support.waiting import becomes, eventually

CHAT = "/v1/chat/completions"


@pytest.fixture
def balancer(start_balancer, slow_alpha, slow_beta):
    return start_balancer({"servers": {"slow-alpha": server(slow_alpha), "slow-beta": server(slow_beta)}})


def test_a_drained_server_gets_no_new_work_and_finishes_what_it_has(balancer):
    stream = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=150, stream=True), {"X-Session-Id": "stays"})
    beginning = stream.read_some()
    home = stream.response.headers["X-Balancer-Server"]
    assert balancer.request("POST", f"/admin/servers/{home}/drain").status == 200
    assert balancer.backend(home)["draining"] is True
    for _ in range(3):
        answer = balancer.chat(chat_body("slow-byte", max_tokens=2), {"X-Session-Id": "stays"})
        assert answer.status == 200 and answer.headers["X-Balancer-Server"] != home, "not even a sticky client"
    rest, clean = stream.read_all()
    assert clean and events(beginning + rest)[-1] == "[DONE]"
    assert balancer.request("POST", f"/admin/servers/{home}/undrain").status == 200
    eventually("it works again", lambda: balancer.backend(home)["draining"], becomes(False))
    homes = {
        balancer.chat(chat_body("slow-byte", max_tokens=2), {"X-Session-Id": f"s{n}"}).headers["X-Balancer-Server"]
        for n in range(4)
    }
    assert home in homes


def test_draining_a_server_that_does_not_exist_is_404(balancer):
    assert balancer.request("POST", "/admin/servers/nobody/drain").status == 404


def test_a_running_request_is_listed_explained_and_can_be_cancelled(balancer, slow_alpha, slow_beta):
    stream = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=1500, stream=True))
    stream.read_some()
    listing = balancer.request("GET", "/admin/requests")
    identity = stream.response.headers["X-Request-Id"]
    assert identity in listing.body.decode() and b"slow-byte" in listing.body, listing
    why = balancer.request("GET", f"/admin/requests/{identity}")
    assert why.status == 200 and b"slow-alpha" in why.body and b"slow-beta" in why.body, "every candidate is explained"
    assert balancer.request("DELETE", f"/admin/requests/{identity}").status in (200, 202, 204)
    stream.read_all()
    eventually("the engine has stopped", lambda: slow_alpha.processing() + slow_beta.processing(), becomes(0))
    balancer.wait_until_idle()


def test_metrics_are_prometheus_text(balancer):
    balancer.chat(chat_body("slow-byte", max_tokens=2))
    answer = balancer.request("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = answer.body.decode().splitlines()
    samples = [line for line in lines if line and not line.startswith("#")]
    assert samples and all(re.fullmatch(r"[a-zA-Z_:][\w:]*(\{.*\})? [-+\w.]+( \d+)?", line) for line in samples), samples
    assert all(line.startswith("llama_balancer_") for line in samples), samples
    assert any("slow-alpha" in line for line in samples)


def test_admin_paths_answer_to_loopback_only_when_no_keys_are_configured(balancer):
    # The peer is loopback here; what a proxy in front says about its client must not open or close the door by itself.
    assert balancer.request("GET", "/admin/requests").status == 200


def test_events_for_the_dashboard_are_an_event_stream(balancer):
    stream = balancer.exchange("/admin/events", None, method="GET")
    head = stream.wait_for_head()
    assert head.headers["Content-Type"].startswith("text/event-stream")
    first = b""
    while b"\n\n" not in first:
        first += stream.read_some()
    assert b"slow-alpha" in first or b"data:" in first
    stream.leave()
