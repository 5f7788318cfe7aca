"""llama-server's resumable streams: a client that goes away may come back for its answer."""

from support.balancer import chat_body, server
from support.http import events
from support.waiting import eventually

CHAT = "/v1/chat/completions"


def test_a_stream_goes_on_without_its_client_and_is_taken_up_again_where_it_runs(start_balancer, slow_alpha, slow_beta):
    balancer = start_balancer({
        "servers": {"alpha": server(slow_alpha), "beta": server(slow_beta)},
        "models": {"slow-byte": ["beta"]},
        "fallback_server": "alpha",
    })  # fmt: skip
    stream = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=300, stream=True), {"X-Conversation-Id": "conv-7"})
    beginning = stream.read_some()
    stream.leave()
    assert balancer.in_flight() == {"beta": 1}, "it keeps its place"
    assert b"[DONE]" not in beginning

    again = balancer.request("GET", "/v1/stream?conv_id=conv-7")
    assert (again.status, again.headers["X-Balancer-Server"]) == (200, "beta"), again
    told = events(again.body)
    assert told[-1] == "[DONE]"
    assert told[-2]["timings"]["predicted_n"] == 300, "nobody has cancelled it"
    balancer.wait_until_idle()


def test_without_a_conversation_it_ends_with_its_client(start_balancer, slow_alpha):
    balancer = start_balancer({"servers": {"alpha": server(slow_alpha)}})
    stream = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=3000, stream=True))
    stream.read_some()
    stream.leave()
    balancer.wait_until_idle(within=2)
    eventually("the engine's slot is free", slow_alpha.processing, lambda busy: busy == 0, within=5)
