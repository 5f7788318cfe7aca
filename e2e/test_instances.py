"""`m`, `m-2`, `m-3`: several copies of a model in one server, each with a prompt cache of its own."""

import pytest

from support.balancer import chat_body, server
from support.waiting import becomes, eventually

CHAT = "/v1/chat/completions"


@pytest.fixture
def fake(start_fake):
    return start_fake("fake", ["m", "m-2", "m-4"], slots=4, decode_speed=20)


@pytest.fixture
def balancer(start_balancer, fake):
    return start_balancer({"servers": {"fake": server(fake)}, "models": {"m": ["fake"]}})


def hold(balancer, client):
    """A stream that keeps its instance busy until it is left."""
    stream = balancer.exchange(CHAT, chat_body("m", max_tokens=400, stream=True), {"X-Session-Id": client})
    stream.read_some()
    return stream


def test_a_second_client_gets_the_second_instance_while_the_first_one_is_busy(balancer):
    first = hold(balancer, "one")
    second = hold(balancer, "two")
    assert first.response.headers["X-Balancer-Model"] is None, "the model itself: nothing was rewritten"
    assert second.response.headers["X-Balancer-Model"] == "m-2"
    assert balancer.backend("fake")["model_inflight"] == {"m": 1, "m-2": 1}
    for stream in (first, second):
        stream.leave()
    balancer.wait_until_idle()


def test_each_client_comes_back_to_its_own_instance(balancer):
    first, second = hold(balancer, "one"), hold(balancer, "two")
    first.leave(), second.leave()
    balancer.wait_until_idle()
    again = balancer.chat(chat_body("m", max_tokens=2), {"X-Session-Id": "two"})
    assert again.headers["X-Balancer-Model"] == "m-2"
    assert balancer.chat(chat_body("m", max_tokens=2), {"X-Session-Id": "one"}).headers["X-Balancer-Model"] is None


def test_instances_behind_a_gap_do_not_count(balancer):
    held = [hold(balancer, client) for client in ("one", "two")]
    third = balancer.exchange(CHAT, chat_body("m", max_tokens=2), {"X-Session-Id": "three"})
    assert third.wait_for_head().headers["X-Balancer-Model"] in (None, "m-2"), "m-4 without m-3 is no instance of m"
    for stream in (*held, third):
        stream.leave()


def test_only_the_bytes_of_the_model_value_change(start_balancer, start_recorder):
    recorder = start_recorder("m", "m-2")
    balancer = start_balancer({"servers": {"recorder": server(recorder, kind="openai")}})
    odd = b'{"nested": {"model": "m"}, "model" :\t"m" , "text": "\\"model\\": \\"m\\"", "messages": []}'
    recorder.gate.clear()
    clients = [balancer.exchange(CHAT, odd, {"X-Session-Id": name}) for name in ("one", "two")]
    eventually("both have reached the engine", lambda: len(recorder.requests), becomes(2))
    recorder.gate.set()
    rewritten = sorted(client.wait_for_head().headers.get("X-Balancer-Model", "") for client in clients)
    bodies = sorted(body for _, _, body in recorder.requests)
    assert rewritten == ["", "m-2"]
    assert bodies == sorted([odd, odd.replace(b'\t"m" ,', b'\t"m-2" ,')])
    for client in clients:
        client.leave()
