"""A client that leaves takes its work with it, wherever that work is."""

import pytest

from support.balancer import chat_body, server
from support.waiting import becomes, eventually

CHAT = "/v1/chat/completions"
LONG_ANSWER = {"max_tokens": 1500}  # 15 s and more of generating: none of these tests would wait for it
LONG_PROMPT = "word " * 2000  # some 10 s of reading


@pytest.fixture
def balancer(start_balancer, slow_alpha):
    return start_balancer({"servers": {"slow": server(slow_alpha, request_max=2)}})


def wait_until_at_work(engine):
    eventually("the engine is at work", engine.processing, becomes(1))


def expect_all_at_rest(balancer, engine):
    eventually("the engine has stopped working", engine.processing, becomes(0), within=3)
    balancer.wait_until_idle()


def test_leaving_in_the_middle_of_a_stream_stops_the_engine(balancer, slow_alpha):
    client = balancer.exchange(CHAT, chat_body("slow-byte", stream=True, **LONG_ANSWER))
    client.read_some()
    wait_until_at_work(slow_alpha)
    client.leave()
    expect_all_at_rest(balancer, slow_alpha)


def test_leaving_a_stream_before_its_first_byte_stops_the_engine(balancer, slow_alpha):
    client = balancer.exchange(CHAT, chat_body("slow-byte", LONG_PROMPT, stream=True))
    wait_until_at_work(slow_alpha)
    client.leave()
    expect_all_at_rest(balancer, slow_alpha)


def test_leaving_a_request_without_streaming_stops_the_engine(balancer, slow_alpha):
    client = balancer.exchange(CHAT, chat_body("slow-byte", **LONG_ANSWER))
    wait_until_at_work(slow_alpha)
    client.leave()
    expect_all_at_rest(balancer, slow_alpha)


def test_leaving_while_waiting_frees_the_place_and_never_reaches_the_engine(start_balancer, slow_alpha):
    balancer = start_balancer({"servers": {"slow": server(slow_alpha, request_max=1)}})
    first = balancer.exchange(CHAT, chat_body("slow-byte", stream=True, **LONG_ANSWER))
    first.read_some()
    second = balancer.exchange(CHAT, chat_body("slow-byte", **LONG_ANSWER))
    eventually("the second one waits", balancer.waiting, becomes(1))
    second.leave()
    eventually("nobody waits any more", balancer.waiting, becomes(0), within=2)
    assert slow_alpha.processing() == 1 and slow_alpha.deferred() == 0
    first.leave()
    expect_all_at_rest(balancer, slow_alpha)


def test_the_openai_clients_own_way_of_closing_a_stream_stops_the_engine(balancer, slow_alpha):
    question = [{"role": "user", "content": "Hello"}]
    stream = balancer.openai().chat.completions.create(model="slow-byte", messages=question, stream=True, **LONG_ANSWER)
    next(iter(stream))
    wait_until_at_work(slow_alpha)
    stream.close()
    expect_all_at_rest(balancer, slow_alpha)
