"""The OpenAI client around the chat: other paths, what servers keep, its exceptions and its own second attempts."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from support.balancer import chat_body, server
from support.process import free_port
from support.waiting import eventually

QUESTION = [{"role": "user", "content": "Hello"}]


def client_of(url):
    return openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


def paths(recorder):
    return [path for path, _, _ in recorder.requests]


@pytest.fixture
def balancer(start_balancer, alpha):
    return start_balancer({"servers": {"alpha": server(alpha)}})


def test_completions_and_responses_are_the_engines(balancer, alpha):
    def ask(url):
        client = client_of(url)
        completion = client.completions.create(model="tiny-byte", prompt="Hello", max_tokens=12, temperature=0)
        response = client.responses.create(model="tiny-byte", input="Hello", max_output_tokens=12, temperature=0)
        counted = client.responses.input_tokens.count(model="tiny-byte", input="Hello")
        return completion.choices[0].text, response.output_text, counted.input_tokens

    through = ask(balancer.url)
    assert through == ask(alpha.url)
    assert [len(text) for text in through[:2]] == [12, 12]


def test_the_events_of_a_streamed_response_are_the_engines(balancer, alpha):
    def ask(url):
        stream = client_of(url).responses.create(
            model="tiny-byte", input="Hello", max_output_tokens=12, temperature=0, stream=True
        )
        return [(event.type, getattr(event, "delta", None)) for event in stream]

    through = ask(balancer.url)
    assert through == ask(alpha.url)
    assert through[-1][0] == "response.completed"


TINY = {"model": "tiny-byte"}


@pytest.mark.parametrize("ask", [
    pytest.param(lambda client: client.chat.completions.create(**TINY, messages="no list"), id="400"),
    pytest.param(lambda client: client.responses.create(**TINY, input="?", previous_response_id="resp_1"), id="400-id"),
    pytest.param(lambda client: client.images.generate(**TINY, prompt="a cat"), id="404"),
    pytest.param(lambda client: client.embeddings.create(**TINY, input="text"), id="501"),
    pytest.param(lambda client: client.audio.transcriptions.create(**TINY, file=b"sound"), id="501-form"),
])  # fmt: skip
def test_an_engines_error_is_the_same_exception_as_from_the_engine_itself(balancer, alpha, ask):
    seen = []
    for url in (alpha.url, balancer.url):
        with pytest.raises(openai.APIStatusError) as caught:
            ask(client_of(url))
        seen.append((type(caught.value), caught.value.status_code, caught.value.body))
    assert seen[1] == seen[0]


@pytest.fixture
def keepers(start_balancer, start_recorder):
    """Two servers with the same model; `made_on_second(make)` does something while the first one drains."""
    first, second = start_recorder("same"), start_recorder("same")
    balancer = start_balancer({"servers": {"first": server(first, kind="openai"), "second": server(second, kind="openai")}})

    def made_on_second(make):
        balancer.request("POST", "/admin/servers/first/drain")
        made = make(balancer.openai(X_Session_Id="maker"))
        balancer.request("POST", "/admin/servers/first/undrain")
        return made

    return balancer.openai(X_Session_Id="somebody else"), made_on_second, first, second


def test_a_file_is_found_on_the_server_that_took_it(keepers):
    client, made_on_second, first, second = keepers
    file = made_on_second(lambda maker: maker.files.create(file=b"{}", purpose="batch"))
    client.files.retrieve(file.id)
    client.files.content(file.id)
    client.files.delete(file.id)
    assert paths(second) == ["/v1/files", "/v1/files/r-1", "/v1/files/r-1/content", "/v1/files/r-1"]
    assert paths(first) == []


def test_a_stored_response_is_found_on_the_server_that_made_it(keepers):
    client, made_on_second, first, second = keepers
    response = made_on_second(lambda maker: maker.responses.create(model="same", input="Hello"))
    client.responses.retrieve(response.id)
    client.responses.create(model="same", input="And then?", previous_response_id=response.id)
    client.responses.delete(response.id)
    assert paths(second) == ["/v1/responses", "/v1/responses/r-1", "/v1/responses", "/v1/responses/r-1"]
    assert paths(first) == []


def test_without_a_server_that_is_up_it_is_an_internal_server_error(start_balancer):
    balancer = start_balancer({"servers": {"gone": {"url": f"http://127.0.0.1:{free_port()}"}}}, up=[])
    with pytest.raises(openai.InternalServerError) as caught:
        balancer.openai().chat.completions.create(model="tiny-byte", messages=QUESTION)
    assert caught.value.status_code in (502, 503)
    assert caught.value.code in ("upstream_failed", "no_server_available")


def test_a_full_line_is_a_rate_limit_error_and_the_clients_own_second_attempt_succeeds(start_balancer, slow_alpha):
    balancer = start_balancer({"servers": {"slow": server(slow_alpha, request_max=1)}, "queue": {"max-waiting": 0}})
    occupation = balancer.exchange("/v1/chat/completions", chat_body("slow-byte", max_tokens=3000, stream=True))
    occupation.read_some()

    def ask(client):
        return client.chat.completions.create(model="slow-byte", messages=QUESTION, max_tokens=4)

    with pytest.raises(openai.RateLimitError) as caught:
        ask(balancer.openai())
    assert caught.value.code and int(caught.value.response.headers["Retry-After"]) >= 1
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(ask, balancer.openai().with_options(max_retries=3))

        def metrics():
            return balancer.request("GET", "/metrics").body.decode()

        eventually("it has been refused, too", metrics, lambda text: 'requests_total{class="4xx"} 2' in text)
        occupation.leave()
        assert patient.result().usage.completion_tokens == 4


def test_an_engine_that_dies_in_the_middle_is_an_exception_after_the_text_so_far(start_balancer, start_llama_server):
    engine = start_llama_server("mortal", "slow-byte", batch=64)
    balancer = start_balancer({"servers": {"mortal": server(engine)}})
    stream = balancer.openai().chat.completions.create(model="slow-byte", messages=QUESTION, max_tokens=3000, stream=True)
    pieces = iter(stream)
    for _ in range(5):
        next(pieces)
    engine.kill()
    with pytest.raises(openai.APIError) as caught:
        list(pieces)
    assert caught.value.code == "upstream_failed", caught.value
