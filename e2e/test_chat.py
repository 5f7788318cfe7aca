"""Official clients and exact bytes, through the balancer to real llama-servers."""

import openai
import pytest

from support.balancer import chat_body, server
from support.engines import Recorder
from support.http import events, request

# What llama-server makes anew for every answer, however deterministic the text.
VOLATILE = ("id", "created", "timings")


def without_volatile(event):
    if event == "[DONE]":
        return event
    event = {key: value for key, value in event.items() if key not in VOLATILE}
    event.get("usage", {}).pop("prompt_tokens_details", None)
    return event


@pytest.fixture
def balancer(start_balancer, alpha, beta):
    return start_balancer({"servers": {"alpha": server(alpha), "beta": server(beta)}})


def test_the_openai_client_gets_a_chat_answer(balancer):
    answer = balancer.openai().chat.completions.create(
        model="tiny-byte", messages=[{"role": "user", "content": "Hello"}], max_tokens=24
    )
    assert answer.usage.completion_tokens == 24, answer
    assert len(answer.choices[0].message.content) == 24, "one token of this model is one character"


def test_the_openai_client_gets_a_stream_in_as_many_chunks_as_the_engine_makes(balancer):
    stream = balancer.openai().chat.completions.create(
        model="tiny-byte", messages=[{"role": "user", "content": "Hello"}], max_tokens=50, stream=True
    )
    pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) == 50, f"{len(pieces)} chunks: {pieces}"


def test_a_model_that_really_answers_says_something_sensible(start_balancer, start_llama_server):
    engine = start_llama_server("smollm2", "smollm2", slots=1, context=2048)
    balancer = start_balancer({"servers": {"smollm2": server(engine)}})
    question = [{"role": "user", "content": "Tell me the capital of France."}]
    answer = balancer.openai().chat.completions.create(model="smollm2", messages=question, temperature=0, max_tokens=24)
    assert "Paris" in answer.choices[0].message.content


def test_the_first_chunk_arrives_while_the_engine_is_still_generating(start_balancer, slow_alpha):
    balancer = start_balancer({"servers": {"slow": server(slow_alpha)}})
    stream = balancer.exchange("/v1/chat/completions", chat_body("slow-byte", max_tokens=150, stream=True))
    first = stream.read_some()
    assert slow_alpha.processing() == 1, f"the engine had finished when the first chunk came: {first!r}"
    rest, clean = stream.read_all()
    assert clean and events(first + rest)[-1] == "[DONE]"


def test_a_stream_is_the_engines_own_but_for_ids_and_times(balancer, alpha):
    body = chat_body("tiny-byte", "Tell me a story.", max_tokens=40, stream=True)
    direct = request(alpha.url, "POST", "/v1/chat/completions", body)
    through = balancer.chat(body)
    assert through.status == direct.status == 200
    assert through.headers["Content-Type"] == direct.headers["Content-Type"]
    assert [without_volatile(e) for e in events(through.body)] == [without_volatile(e) for e in events(direct.body)]


def test_a_deterministic_answer_is_the_engines_own_byte_for_byte(balancer, alpha):
    body = {"model": "tiny-byte", "content": "Guten Tag, 今日は"}
    direct = request(alpha.url, "POST", "/tokenize", body)
    assert balancer.request("POST", "/tokenize", body).body == direct.body


def test_bodies_pass_byte_for_byte_in_both_directions(start_balancer, start_recorder):
    recorder = start_recorder("recorded")
    balancer = start_balancer({"servers": {"recorder": server(recorder, kind="openai")}})
    odd = (
        b'{\n\t"messages" : [ {"role":"user","content":"\\u0041 \\/ \xe4\xbb\x8a \\ud83d\\ude00"} ],\n'
        b' "model":"\\u0072ecorded", "x":1e+2 }\r\n'
    )
    answer = balancer.chat(odd)
    assert recorder.requests[-1][2] == odd
    assert answer.body == Recorder.ANSWER
    assert answer.headers["X-Engine-Says"] == "hello"


def test_headers_tell_the_engine_who_asked_and_the_client_who_answered(start_balancer, start_recorder):
    recorder = start_recorder("recorded")
    balancer = start_balancer({"servers": {"recorder": server(recorder, kind="openai")}})
    sent = {"X-Request-Id": "my-id", "Connection": "close, X-Hop", "X-Hop": "1", "TE": "trailers", "X-Kept": "yes"}
    answer = balancer.chat(chat_body("recorded"), sent)
    _, seen, _ = recorder.requests[-1]
    assert seen["Host"] == recorder.url.removeprefix("http://")
    assert seen["X-Request-Id"] == "my-id" and seen["X-Kept"] == "yes"
    assert seen["X-Forwarded-For"] == "127.0.0.1" and seen["X-Forwarded-Proto"] == "http"
    assert seen["X-Forwarded-Host"] == balancer.url.removeprefix("http://")
    assert "1.1" in seen["Via"]
    assert seen["X-Hop"] is None and seen["TE"] is None, "hop-by-hop headers end here"
    assert answer.headers["X-Request-Id"] == "my-id"
    assert answer.headers["X-Balancer-Server"] == "recorder"
    assert balancer.chat(chat_body("recorded")).headers["X-Request-Id"], "an id is made where the client sent none"


def test_event_streams_are_marked_so_that_a_proxy_in_front_does_not_buffer_them(balancer):
    stream = balancer.chat(chat_body("tiny-byte", stream=True))
    assert stream.headers["X-Accel-Buffering"] == "no"
    assert balancer.chat(chat_body("tiny-byte")).headers["X-Accel-Buffering"] is None


def test_embeddings(start_balancer, start_llama_server):
    engine = start_llama_server("embedder", alias="embed-byte", embeddings=True)
    balancer = start_balancer({"servers": {"embedder": server(engine)}})
    answer = balancer.openai().embeddings.create(model="embed-byte", input=["one", "two"])
    assert [len(item.embedding) for item in answer.data] == [64, 64]
    assert answer.data[0].embedding != answer.data[1].embedding


def test_the_anthropic_client_gets_an_answer_and_a_stream(balancer):
    client = balancer.anthropic()
    question = {"model": "tiny-byte", "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
    assert len(client.messages.create(**question).content[0].text) == 20
    with client.messages.stream(**question) as stream:
        assert len("".join(stream.text_stream)) == 20


def test_ollamas_own_paths_are_routed_by_model(start_balancer, start_recorder):
    first, second = start_recorder("other"), start_recorder("llama3.2:latest")
    servers = {"first": server(first, kind="openai"), "second": server(second, kind="openai")}
    balancer = start_balancer({"servers": servers, "models": {"llama3.*": ["second"]}})
    for path in ("/api/chat", "/api/generate", "/api/embed"):
        answer = balancer.request("POST", path, {"model": "llama3.2:latest", "messages": [], "stream": False})
        assert (answer.status, answer.headers["X-Balancer-Server"]) == (200, "second"), path
    assert [path for path, _, _ in second.requests] == ["/api/chat", "/api/generate", "/api/embed"]
    assert first.requests == []


def test_the_merged_model_list_hides_instances_and_keeps_the_engines_fields(start_balancer, start_fake, alpha):
    fake = start_fake("fake", ["chat", "chat-2", "chat-3", "tiny-byte"])
    balancer = start_balancer({"servers": {"alpha": server(alpha), "fake": server(fake)}})
    models = balancer.openai().models.list().data
    assert [model.id for model in models] == ["chat", "tiny-byte"]
    assert models[1].owned_by == "llamacpp" and models[1].meta["n_params"] > 0, "alpha lists it first, its own fields are kept"


def test_an_upstream_can_be_called_by_its_name(balancer, beta):
    assert len(balancer.request("GET", "/upstream/beta/slots").json()) == 4
    assert balancer.request("GET", "/upstream/beta/props").json()["model_alias"] == "tiny-byte"
    chat = balancer.request("POST", "/upstream/beta/v1/chat/completions", chat_body("whatever"))
    assert chat.json()["usage"]["completion_tokens"] == 16


def test_a_wrong_api_key_gets_the_engines_own_401_and_the_right_one_an_answer(start_balancer, start_llama_server):
    engine = start_llama_server("locked", api_key="sesame")
    balancer = start_balancer({"servers": {"locked": server(engine)}})
    with pytest.raises(openai.AuthenticationError):
        balancer.openai("wrong").chat.completions.create(model="tiny-byte", messages=[{"role": "user", "content": "?"}])
    wrong = {"Authorization": "Bearer wrong"}
    direct = request(engine.url, "POST", "/v1/chat/completions", chat_body("tiny-byte"), wrong)
    through = balancer.chat(chat_body("tiny-byte"), wrong)
    assert (through.status, through.body) == (direct.status, direct.body)
    assert balancer.chat(chat_body("tiny-byte"), {"Authorization": "Bearer sesame"}).status == 200


def test_a_servers_api_key_is_sent_for_clients_that_have_none(start_balancer, start_llama_server):
    engine = start_llama_server("locked", api_key="sesame")
    balancer = start_balancer({"servers": {"locked": server(engine, api_key="${ENGINE_KEY}")}}, env={"ENGINE_KEY": "sesame"})
    assert balancer.chat(chat_body("tiny-byte")).status == 200
    assert "sesame" not in balancer.request("GET", "/llmhealth-snapshot").body.decode()
    assert "sesame" not in balancer.output()
