"""Ollama's own client for Python."""

import json

import ollama as library
import pytest

from support.balancer import server
from support.compare import as_from_the_engine

MODEL = "llama3.2:latest"
QUESTION = [{"role": "user", "content": "Hello"}]
SHORT = {"num_predict": 6}


def test_it_lists_the_models_of_all_servers(start_balancer, start_fake):
    first = start_fake("first", ["llama3.2:latest"], kind="ollama")
    second = start_fake("second", ["qwen3:0.6b"], kind="ollama")
    client = library.Client(start_balancer({"servers": {"first": server(first), "second": server(second)}}).url)
    for listed in (client.list(), client.ps()):
        assert [model.model for model in listed.models] == ["llama3.2:latest", "qwen3:0.6b"]
    assert client.list().models[1].details == library.Client(second.url).list().models[0].details


def test_it_gets_the_answers_of_the_engine(balancer, ollama):
    def ask(url):
        client = library.Client(url)
        chat = client.chat(MODEL, QUESTION, options=SHORT)
        generated = client.generate(MODEL, "Hello", options=SHORT)
        embedded = client.embed(MODEL, ["one", "two"])
        return chat.message, chat.eval_count, generated.response, embedded.embeddings, client.show(MODEL)

    message, count, text, vectors, shown = as_from_the_engine(ask, ollama, balancer)
    assert message.content and text and count == 6 and len(vectors) == 2 and shown.capabilities == ["completion"]


def test_it_gets_a_stream_in_the_same_pieces(balancer, ollama):
    def ask(url):
        stream = library.Client(url).chat(MODEL, QUESTION, options=SHORT, stream=True)
        return [(piece.message.content, piece.done_reason) for piece in stream]

    pieces = as_from_the_engine(ask, ollama, balancer)
    assert len(pieces) == 7 and pieces[-1] == ("", "length"), "six tokens and the end"


def test_an_unknown_model_is_a_response_error_that_names_it(balancer, ollama):
    for stream in (False, True):
        for url in (ollama.url, balancer.url):
            with pytest.raises(library.ResponseError) as caught:
                list(library.Client(url).chat("gpt-99", QUESTION, stream=stream))
            assert caught.value.status_code == 404 and "gpt-99" in caught.value.error, url


def test_what_is_done_to_a_model_is_done_on_the_server_that_has_it(start_balancer, start_recorder):
    fallback, home = start_recorder("other"), start_recorder(MODEL)
    servers = {"fallback": server(fallback, kind="openai"), "home": server(home, kind="openai")}
    client = library.Client(start_balancer({"servers": servers}).url)
    for name in (MODEL, "llama3.2"):
        client.copy(name, "copied")
        client.push(name)
        client.delete(name)
    assert [path for path, _, _ in home.requests] == ["/api/copy", "/api/push", "/api/delete"] * 2
    assert json.loads(home.requests[0][2]) == {"source": MODEL, "destination": "copied"}
    assert fallback.requests == []


def test_a_model_that_nobody_has_is_pulled_by_the_fallback_server(start_balancer, start_recorder):
    fallback, other = start_recorder("one"), start_recorder("two")
    servers = {"other": server(other, kind="openai"), "fallback": server(fallback, kind="openai")}
    client = library.Client(start_balancer({"servers": servers, "fallback_server": "fallback"}).url)
    client.pull("llama3.2")
    assert [path for path, _, _ in fallback.requests] == ["/api/pull"]
    assert other.requests == []
