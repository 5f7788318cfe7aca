"""A client that leaves takes its work with it, wherever that work is."""

import pytest

from support.balancer import chat_body, server
from support.http import request
from support.waiting import becomes, eventually

CHAT = "/v1/chat/completions"
LONG_ANSWER = {"max_tokens": 1500}  # 10 s and more of generating: none of these tests would wait for it
LONG_PROMPT = "word " * 700  # several seconds of reading


@pytest.fixture
def balancer(start_balancer, slow_alpha):
    return start_balancer({"servers": {"slow": server(slow_alpha, request_max=2)}})


def wait_until_at_work(engine):
    eventually("the engine is at work", engine.processing, becomes(1))


def expect_all_at_rest(balancer, engine):
    balancer.wait_until_idle(within=2)
    eventually("the engine has stopped working", engine.processing, becomes(0), within=2)


def test_leaving_in_the_middle_of_a_stream_stops_the_engine(balancer, slow_alpha):
    client = balancer.exchange(CHAT, chat_body("slow-byte", stream=True, **LONG_ANSWER))
    client.read_some()
    wait_until_at_work(slow_alpha)
    client.leave()
    expect_all_at_rest(balancer, slow_alpha)


# Before the first byte and without streaming, llama-server looks for its client only when nothing has happened inside it for a
# second, and a call of /slots is something: whoever looks more often keeps it from noticing. Hence two tests: with the fake
# engine, which notices at once, and with the real one and patient looks.
SILENT = {
    "a stream before its first byte": (LONG_PROMPT, {"stream": True}),
    "a request without streaming": ("Hello", LONG_ANSWER),
}


@pytest.mark.parametrize("what", SILENT)
def test_leaving_closes_the_connection_to_the_engine(start_balancer, start_fake, what):
    fake = start_fake("fake", ["slow-byte"], prefill_speed=100, decode_speed=20)
    balancer = start_balancer({"servers": {"fake": server(fake)}})
    prompt, more = SILENT[what]

    def observed(count):
        return request(fake.url, "GET", "/fake/observations").json()[count]

    client = balancer.exchange(CHAT, chat_body("slow-byte", prompt, **more))
    eventually("the engine is at work", lambda: observed("concurrency"), becomes(1))
    client.leave()
    eventually("the engine saw its client leave", lambda: observed("cancelled"), becomes(1), within=1)
    assert observed("concurrency") == 0
    balancer.wait_until_idle(within=1)


@pytest.mark.parametrize("what", SILENT)
def test_leaving_stops_a_real_engine(start_balancer, start_llama_server, what):
    engine = start_llama_server("slow", "slow-byte", batch=64)
    balancer = start_balancer({"servers": {"slow": server(engine)}})
    prompt, more = SILENT[what]
    client = balancer.exchange(CHAT, chat_body("slow-byte", prompt, **more))
    wait_until_at_work(engine)
    client.leave()
    balancer.wait_until_idle(within=2)
    eventually("the engine says that it cancelled a task", engine.output, lambda log: "cancel task" in log, within=4)
    eventually("its slot is free", engine.processing, becomes(0))


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
