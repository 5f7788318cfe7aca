"""Conversations stay where their prompt is cached."""

import uuid

import pytest

from support.balancer import chat_body, server
from support.http import events

STORY = "Once upon a time there was a balancer that remembered. " * 12  # a second of reading


def conversation(session, first_answer=None):
    """A session's first turn, or its second one. Every session tells another story, so that none is in a cache before its time."""
    messages = [{"role": "user", "content": f"This is the story of {session['X-Session-Id']}. {STORY}"}]
    if first_answer is not None:
        messages += [{"role": "assistant", "content": first_answer}, {"role": "user", "content": "And then?"}]
    return chat_body("slow-byte", max_tokens=12) | {"messages": messages}


def new_session():
    return {"X-Session-Id": uuid.uuid4().hex}


def cached_share(answer):
    timings = answer.json()["timings"]
    return timings["cache_n"] / (timings["cache_n"] + timings["prompt_n"])


@pytest.fixture
def balancer(start_balancer, slow_alpha, slow_beta):
    servers = {"slow-alpha": server(slow_alpha, request_max=1), "slow-beta": server(slow_beta, request_max=1)}
    return start_balancer({"servers": servers})


def test_the_second_turn_of_a_conversation_finds_the_first_in_the_cache(balancer):
    session = new_session()
    first = balancer.chat(conversation(session), session)
    assert cached_share(first) < 0.2, "a new story is in no cache yet"
    text = first.json()["choices"][0]["message"]["content"]
    second = balancer.chat(conversation(session, text), session)
    assert second.headers["X-Balancer-Server"] == first.headers["X-Balancer-Server"]
    assert cached_share(second) > 0.8, second.json()["timings"]


def test_two_conversations_at_once_take_a_server_each_and_stay_apart(balancer):
    # While the first client's stream holds its server, the second client's first turn must go to the other one.
    one, two = new_session(), new_session()
    stream = balancer.exchange("/v1/chat/completions", conversation(one) | {"stream": True, "max_tokens": 150}, one)
    start = stream.read_some()
    second_client = balancer.chat(conversation(two), two)
    rest, _ = stream.read_all()
    home_of_one, home_of_two = stream.response.headers["X-Balancer-Server"], second_client.headers["X-Balancer-Server"]
    assert {home_of_one, home_of_two} == {"slow-alpha", "slow-beta"}

    said = "".join(e["choices"][0]["delta"].get("content") or "" for e in events(start + rest) if e != "[DONE]" and e["choices"])
    for session, home, answer in (
        (one, home_of_one, said),
        (two, home_of_two, second_client.json()["choices"][0]["message"]["content"]),
    ):
        turn = balancer.chat(conversation(session, answer), session)
        assert turn.headers["X-Balancer-Server"] == home
        assert cached_share(turn) > 0.8, turn.json()["timings"]


def sticky_clients(balancer):
    return [entry["key"].split("|")[0] for entry in balancer.snapshot()["sticky"]]


@pytest.mark.parametrize(
    ("headers", "system", "client"),
    [
        ({"X-Forwarded-For": "10.1.2.3, 172.16.0.9"}, None, "10.1.2.3"),
        ({}, None, "127.0.0.1"),
        ({"X-Forwarded-For": "10.1.2.3"}, "あなたは親切です。ユーザーの名前は「太郎」です。", "太郎"),
        ({"X-Session-Id": "s-1"}, None, "s-1"),
        ({"X-Conversation-Id": "c-1"}, None, "c-1"),
        ({"X-Session-Id": "s-1"}, "ユーザーの名前は『花子』", "花子"),
    ],
)
def test_a_client_is_known_by(start_balancer, alpha, headers, system, client):
    balancer = start_balancer({"servers": {"alpha": server(alpha)}})
    assert balancer.chat(chat_body("tiny-byte", system=system), headers).status == 200
    assert sticky_clients(balancer) == [client]


def test_the_name_is_found_in_a_system_message_made_of_parts(start_balancer, alpha):
    balancer = start_balancer({"servers": {"alpha": server(alpha)}})
    parts = [{"type": "text", "text": "Be kind."}, {"type": "text", "text": 'ユーザーの名前は"次郎"'}]
    assert balancer.chat(chat_body("tiny-byte", system=parts)).status == 200
    assert sticky_clients(balancer) == ["次郎"]


def test_the_clients_share_servers_by_their_prompt_cache_key(start_balancer, alpha):
    balancer = start_balancer({"servers": {"alpha": server(alpha)}})
    assert balancer.chat(chat_body("tiny-byte", prompt_cache_key="cache-1")).status == 200
    assert sticky_clients(balancer) == ["cache-1"]
