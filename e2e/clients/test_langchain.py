"""LangChain's models for OpenAI's, Anthropic's and Ollama's API."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from support.balancer import server
from support.compare import as_from_the_engine

TINY, LLAMA = "tiny-byte", "llama3.2:latest"
SHORT = {"api_key": "none", "max_tokens": 12, "temperature": 0, "max_retries": 0}


def openai_chat(url, model=TINY):
    return ChatOpenAI(base_url=f"{url}/v1", model=model, **SHORT)


def openai_responses(url, model=TINY):
    return ChatOpenAI(base_url=f"{url}/v1", model=model, use_responses_api=True, **SHORT)


def anthropic_chat(url, model=TINY):
    return ChatAnthropic(base_url=url, model=model, **SHORT)


def ollama_chat(url, model=LLAMA):
    return ChatOllama(base_url=url, model=model, num_predict=12)


@pytest.fixture(params=[openai_chat, openai_responses, anthropic_chat, ollama_chat])
def model(request):
    return request.param


@pytest.fixture
def engine(model, engines):
    return engines[LLAMA if model is ollama_chat else TINY]


def test_invoke_gets_the_answer_of_the_engine(model, engine, balancer):
    def ask(url):
        answer = model(url).invoke("Hello")
        return answer.text, answer.usage_metadata["output_tokens"]

    text, tokens = as_from_the_engine(ask, engine, balancer)
    assert text and tokens == 12


def test_stream_gets_the_same_pieces(model, engine, balancer):
    pieces = as_from_the_engine(lambda url: [piece.text for piece in model(url).stream("Hello")], engine, balancer)
    assert len([piece for piece in pieces if piece]) == 12, "a piece for each token"


def test_a_model_that_nobody_has_is_an_error_that_names_it(model, balancer):
    with pytest.raises(Exception, match="gpt-99") as caught:
        model(balancer.url, "gpt-99").invoke("Hello")
    assert caught.value.status_code == 404


def test_the_embeddings_of_openais_api(start_balancer, start_llama_server):
    engine = start_llama_server("embedder", alias="embed-byte", embeddings=True)
    balancer = start_balancer({"servers": {"embedder": server(engine)}})

    def ask(url):
        # Without the check, which downloads OpenAI's tokenizer.
        model = OpenAIEmbeddings(
            base_url=f"{url}/v1", api_key="none", model="embed-byte", check_embedding_ctx_length=False, max_retries=0
        )
        return model.embed_documents(["one", "two"])

    first, second = as_from_the_engine(ask, engine, balancer)
    assert len(first) == len(second) == 64 and first != second


def test_the_embeddings_of_ollamas_api(balancer, ollama):
    def ask(url):
        return OllamaEmbeddings(base_url=url, model=LLAMA).embed_documents(["one", "two"])

    first, second = as_from_the_engine(ask, ollama, balancer)
    assert first != second
