"""LlamaIndex's models for OpenAI's and Ollama's API."""

import openai
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike

from support.compare import as_from_the_engine

QUESTION = [ChatMessage(role="user", content="Hello")]


def openai_like(url, model="tiny-byte", is_chat_model=True):
    return OpenAILike(
        api_base=f"{url}/v1",
        api_key="none",
        model=model,
        is_chat_model=is_chat_model,
        max_tokens=12,
        temperature=0,
        max_retries=0,
    )


def ollama_model(url):
    return Ollama(base_url=url, model="llama3.2:latest", additional_kwargs={"num_predict": 12})


@pytest.fixture(params=[openai_like, ollama_model])
def model(request):
    return request.param


@pytest.fixture
def engine(model, engines):
    return engines["tiny-byte" if model is openai_like else "llama3.2:latest"]


def test_chat_gets_the_answer_of_the_engine(model, engine, balancer):
    assert as_from_the_engine(lambda url: model(url).chat(QUESTION).message.content, engine, balancer)


def test_a_streamed_chat_gets_the_same_pieces(model, engine, balancer):
    pieces = as_from_the_engine(lambda url: [piece.delta for piece in model(url).stream_chat(QUESTION)], engine, balancer)
    assert len([piece for piece in pieces if piece]) == 12, "a piece for each token"


def test_completions_without_a_chat(alpha, balancer):
    def ask(url):
        model = openai_like(url, is_chat_model=False)
        return model.complete("Hello").text, [piece.delta for piece in model.stream_complete("Hello")]

    text, pieces = as_from_the_engine(ask, alpha, balancer)
    assert len(text) == 12 and "".join(pieces) == text


def test_a_model_that_nobody_has_is_a_not_found_error(balancer):
    with pytest.raises(openai.NotFoundError, match="gpt-99"):
        openai_like(balancer.url, "gpt-99").chat(QUESTION)
