"""What a client is told when something is wrong, in its own API's words."""

import socket

import openai
import pytest

from support.balancer import chat_body, server
from support.http import request
from support.process import free_port
from support.waiting import becomes, eventually


@pytest.fixture
def balancer(start_balancer, alpha):
    return start_balancer({"servers": {"alpha": server(alpha)}, "models": {"tiny-.*": ["alpha"]}, "fallback_server": None})


def error_of(answer):
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "code", "param"}, error
    return error


def test_an_unknown_model_is_404_when_there_is_no_fallback(balancer):
    with pytest.raises(openai.NotFoundError) as caught:
        balancer.openai().chat.completions.create(model="gpt-99", messages=[{"role": "user", "content": "?"}])
    assert caught.value.code == "model_not_found"
    assert "gpt-99" in caught.value.message


def test_an_unknown_model_goes_to_the_fallback_server(start_balancer, alpha, start_recorder):
    recorder = start_recorder("recorded")
    servers = {"alpha": server(alpha), "recorder": server(recorder, kind="openai")}
    balancer = start_balancer({"servers": servers, "models": {"tiny-.*": ["alpha"]}, "fallback_server": "recorder"})
    assert balancer.chat(chat_body("gpt-99")).headers["X-Balancer-Server"] == "recorder"
    assert b'"gpt-99"' in recorder.requests[-1][2]


@pytest.mark.parametrize(
    "body", [b'{"model": "tiny-byte", "messages": [', b"", b"hello", b'{"model": "tiny-byte"} x', b'{"model": "\xff"}']
)
def test_malformed_json_is_400_and_goes_nowhere(start_balancer, start_recorder, body):
    recorder = start_recorder("tiny-byte")
    balancer = start_balancer({"servers": {"recorder": server(recorder, kind="openai")}})
    answer = balancer.chat(body)
    assert (answer.status, error_of(answer)["code"]) == (400, "invalid_request"), answer
    assert recorder.requests == []


def test_errors_of_our_own_have_the_callers_shape(balancer):
    body = b'{"model": '
    assert balancer.request("POST", "/v1/messages", body).json()["type"] == "error"
    assert isinstance(balancer.request("POST", "/api/chat", body).json()["error"], str)


def test_an_engines_own_400_goes_through_untouched(balancer, alpha):
    too_long = chat_body("tiny-byte", "word " * 20_000)
    direct = request(alpha.url, "POST", "/v1/chat/completions", too_long)
    through = balancer.chat(too_long)
    assert direct.status == 400 and b"exceed_context_size_error" in direct.body, direct
    assert (through.status, through.body) == (direct.status, direct.body)


def test_a_prompt_that_is_too_long_for_one_engine_is_answered_by_another(start_balancer, start_llama_server):
    """A token of this model is a byte, so the balancer takes the prompt for shorter than it is, until it has learned better."""
    short = start_llama_server("short", slots=1, context=1024)
    long = start_llama_server("long", slots=1, context=16384)
    balancer = start_balancer({"servers": {"short": server(short), "long": server(long)}, "routing": {"rule": "sticky"}})
    answer = balancer.chat(chat_body("tiny-byte", "word " * 400))
    assert (answer.status, answer.headers["X-Balancer-Server"], answer.headers["X-Balancer-Attempts"]) == (200, "long", "2")
    snapshot = {one["name"]: one for one in balancer.snapshot()["backends"]}
    assert snapshot["short"]["state"] == "up", "a prompt that does not fit is no failure"


def test_with_every_server_down_the_answer_is_an_error_that_can_be_retried(start_balancer):
    servers = {"gone": {"url": f"http://127.0.0.1:{free_port()}"}}
    balancer = start_balancer({"servers": servers, "models": {".*": ["gone"]}}, up=[])
    answer = balancer.chat(chat_body("tiny-byte"))
    assert answer.status in (502, 503), answer
    assert error_of(answer)["code"] in ("upstream_failed", "no_server_available")
    eventually("/health says so too", lambda: balancer.request("GET", "/health").status, becomes(503))
    balancer.wait_until_idle()


def test_bad_http_is_answered_with_400(balancer):
    with socket.create_connection(("127.0.0.1", balancer.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 "), "both lengths at once is an attack, not a request"


def test_a_head_that_is_too_large_is_431(balancer):
    answer = balancer.request("GET", "/v1/models", headers={"X-Large": "x" * 70_000})
    assert answer.status == 431, answer


def test_a_body_over_the_limit_is_413(start_balancer, start_recorder):
    recorder = start_recorder("recorded")
    balancer = start_balancer({"servers": {"recorder": server(recorder, kind="openai")}, "limits": {"body": "1MB"}})
    answer = balancer.chat(chat_body("recorded", "x" * 1_100_000))
    assert (answer.status, error_of(answer)["code"]) == (413, "request_too_large"), answer
    assert balancer.chat(chat_body("recorded", "x" * 900_000)).status == 200
