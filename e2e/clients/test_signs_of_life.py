"""Clients whose stream waits in the balancer's line get signs of life meanwhile. No client must take them for the answer."""

from concurrent.futures import ThreadPoolExecutor

import anthropic
import litellm
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from support.balancer import chat_body, server
from support.waiting import eventually

CHAT = "/v1/chat/completions"
MODEL = "slow-byte"
QUESTION = [{"role": "user", "content": "Hello"}]
SHORT = {"max_tokens": 12, "temperature": 0}
KEYLESS = {"api_key": "none", "max_retries": 0}


def openai_chat(url):
    client = openai.OpenAI(base_url=f"{url}/v1", **KEYLESS)
    stream = client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True, **SHORT)
    return [part.choices[0].delta.content for part in stream]


def openai_responses(url):
    client = openai.OpenAI(base_url=f"{url}/v1", **KEYLESS)
    stream = client.responses.create(model=MODEL, input="Hello", stream=True, max_output_tokens=12, temperature=0)
    return [event.delta for event in stream if event.type == "response.output_text.delta"]


def anthropic_messages(url):
    client = anthropic.Anthropic(base_url=url, **KEYLESS)
    question = {"model": MODEL, "messages": QUESTION, "max_tokens": 12, "extra_body": {"temperature": 0}}
    with client.messages.stream(**question) as stream:
        return list(stream.text_stream)


def langchain_openai(url):
    return [part.text for part in ChatOpenAI(base_url=f"{url}/v1", model=MODEL, **KEYLESS, **SHORT).stream("Hello")]


def langchain_anthropic(url):
    return [part.text for part in ChatAnthropic(base_url=url, model=MODEL, **KEYLESS, **SHORT).stream("Hello")]


def llamaindex(url):
    model = OpenAILike(api_base=f"{url}/v1", model=MODEL, is_chat_model=True, **KEYLESS, **SHORT)
    return [part.delta for part in model.stream_chat([ChatMessage(role="user", content="Hello")])]


def litellm_openai(url):
    stream = litellm.completion(f"openai/{MODEL}", QUESTION, api_base=f"{url}/v1", stream=True, **KEYLESS, **SHORT)
    return [part.choices[0].delta.content for part in stream]


def litellm_anthropic(url):
    stream = litellm.completion(f"anthropic/{MODEL}", QUESTION, api_base=url, stream=True, **KEYLESS, **SHORT)
    return [part.choices[0].delta.content for part in stream]


CLIENTS = [openai_chat, openai_responses, anthropic_messages]
CLIENTS += [langchain_openai, langchain_anthropic, llamaindex, litellm_openai, litellm_anthropic]


@pytest.mark.filterwarnings("ignore:Items? .*:UserWarning:pydantic")
def test_after_signs_of_life_every_client_has_the_text_of_the_engine_and_nothing_else(start_balancer, slow_alpha):
    balancer = start_balancer({"servers": {"one": server(slow_alpha, request_max=1)}, "keep-alive-comments": "100ms"})
    direct = {client.__name__: client(slow_alpha.url) for client in CLIENTS}

    long = chat_body(MODEL, max_tokens=3000, stream=True)
    occupation = balancer.exchange(CHAT, long)
    occupation.read_some()
    observer = balancer.exchange(CHAT, long)
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        streams = {client.__name__: pool.submit(client, balancer.url) for client in CLIENTS}

        def waiting_for():
            return [request["age_ms"] for request in balancer.request("GET", "/admin/requests").json()["waiting"]]

        eventually("all wait for long", waiting_for, lambda ages: len(ages) == len(CLIENTS) + 1 and min(ages) > 500)
        assert observer.read_some().startswith(b":"), "no sign of life has been sent"
        occupation.leave()
        observer.leave()
        through = {name: stream.result() for name, stream in streams.items()}
    assert through == direct
    assert {len([part for part in parts if part]) for parts in through.values()} == {12}, "a piece for each token"
