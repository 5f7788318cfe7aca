"""A page from another origin in a real browser: may it use the API, and read what it is told?"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.balancer import chat_body, server
from support.http import events
from support.process import free_port
from support.waiting import eventually

CHAT = "/v1/chat/completions"
# In the page: begins a request; `received` grows as its answer comes, and `ended` promises the whole of it.
BEGIN = """([url, options]) => {
    const read = async () => {
        const answer = await fetch(url, options)
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
        for (let part = await reader.read(); !part.done; part = await reader.read()) window.received += part.value
        return {status: answer.status, text: window.received}
    }
    window.received = ''
    window.ended = read().catch(error => ({failure: String(error)}))
    return null
}"""


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        page = b"<!doctype html><title>Somebody's page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def page(browser):
    """A page from a port that is not the balancer's."""
    site = ThreadingHTTPServer(("127.0.0.1", free_port()), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{site.server_port}/")
    yield page
    page.close()
    site.shutdown()


def begin(page, url, **options):
    page.evaluate(BEGIN, [url, options])


def fetch(page, url, **options):
    begin(page, url, **options)
    return page.evaluate("window.ended")


def chat(body, **more):
    """Options of a chat with fields that a page of another origin must ask for first (a preflight request)."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer any", "X-Stainless-OS": "Linux"}
    return {"method": "POST", "body": json.dumps(body), "headers": headers} | more


@pytest.fixture
def balancer(start_balancer, slow_alpha):
    servers = {"slow": server(slow_alpha, request_max=1)}
    return start_balancer({"servers": servers, "fallback_server": None, "keep-alive-comments": "100ms"})


def test_it_reads_the_list_of_models(page, balancer):
    listed = fetch(page, f"{balancer.url}/v1/models", headers={"Authorization": "Bearer any"})
    assert listed["status"] == 200, listed
    assert [model["id"] for model in json.loads(listed["text"])["data"]] == ["slow-byte"]


def test_it_reads_an_answer_of_the_engine(page, balancer, slow_alpha):
    body = chat_body("slow-byte")
    texts = [
        json.loads(fetch(page, engine.url + CHAT, **chat(body))["text"])["choices"][0]["message"]["content"]
        for engine in (slow_alpha, balancer)
    ]
    assert texts[0] == texts[1] and len(texts[0]) == 16


def test_it_reads_why_its_request_was_refused(page, balancer):
    refused = fetch(page, balancer.url + CHAT, **chat(chat_body("gpt-99")))
    assert refused["status"] == 404, refused
    assert "gpt-99" in json.loads(refused["text"])["error"]["message"]


def test_it_reads_signs_of_life_while_its_stream_waits_and_then_the_stream(page, balancer):
    occupation = balancer.exchange(CHAT, chat_body("slow-byte", max_tokens=3000, stream=True))
    occupation.read_some()
    begin(page, balancer.url + CHAT, **chat(chat_body("slow-byte", stream=True)))
    eventually("a sign of life", lambda: page.evaluate("window.received"), lambda text: text.startswith(":"))
    assert balancer.waiting() == 1
    occupation.leave()
    ended = page.evaluate("window.ended")
    assert ended.get("status") == 200, ended
    told = events(ended["text"].encode())
    assert told[-1] == "[DONE]"
    assert len([event for event in told[:-1] if event["choices"] and event["choices"][0]["delta"].get("content")]) == 16


def test_it_may_stop_a_stream_by_its_conversation(page, balancer):
    assert fetch(page, f"{balancer.url}/v1/stream?conv_id=nobody-1", method="DELETE")["status"] == 204


def test_it_may_not_read_who_uses_the_balancer(page, balancer):
    for path in ("/llmhealth-snapshot", "/access-log-stats", "/metrics", "/admin/requests", "/upstream/slow/slots"):
        assert "failure" in fetch(page, balancer.url + path), path


def test_its_cookies_are_as_unwanted_as_at_the_engine(page, balancer, slow_alpha):
    answers = [fetch(page, f"{url}/v1/models", credentials="include") for url in (slow_alpha.url, balancer.url)]
    assert answers[0] == answers[1] and "failure" in answers[1]
