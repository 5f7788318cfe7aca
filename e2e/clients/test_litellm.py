"""LiteLLM as a client, for each API that it speaks to local engines."""

import litellm
import pytest

from support.compare import as_from_the_engine

QUESTION = [{"role": "user", "content": "Hello"}]
pytestmark = pytest.mark.filterwarnings("ignore:Items? .*:UserWarning:pydantic")
APIS = {"openai": ("tiny-byte", "/v1"), "anthropic": ("tiny-byte", ""), "ollama_chat": ("llama3.2:latest", "")}


@pytest.fixture(params=APIS)
def api(request):
    return request.param


@pytest.fixture
def engine(api, engines):
    return engines[APIS[api][0]]


def complete(api, url, model=None, **more):
    name, path = APIS[api]
    more = {"max_tokens": 12, "temperature": 0, "api_key": "none", "num_retries": 0} | more
    return litellm.completion(f"{api}/{model or name}", QUESTION, api_base=url + path, **more)


def test_a_completion_is_the_engines(api, engine, balancer):
    def ask(url):
        answer = complete(api, url)
        return answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage.completion_tokens

    text, reason, tokens = as_from_the_engine(ask, engine, balancer)
    assert text and (reason, tokens) == ("length", 12)


def test_a_stream_has_the_same_pieces(api, engine, balancer):
    def ask(url):
        return [piece.choices[0].delta.content for piece in complete(api, url, stream=True)]

    pieces = as_from_the_engine(ask, engine, balancer)
    assert len([piece for piece in pieces if piece]) == 12, "a piece for each token"


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_nobody_has_is_a_not_found_error(api, stream, balancer):
    with pytest.raises(litellm.NotFoundError, match="gpt-99") as caught:
        list(complete(api, balancer.url, "gpt-99", stream=stream))
    assert caught.value.status_code == 404
