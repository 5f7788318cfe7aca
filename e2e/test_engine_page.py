"""llama-server's own page in a real browser, through the balancer."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from support.balancer import server
from support.process import OUTPUT
from support.waiting import becomes, eventually


class Visitor:
    """A user of the page, with a storage and connections of its own."""

    def __init__(self, browser, url):
        self.answers = {}  # (method, path): the last answer
        self.page = browser.new_context().new_page()
        self.page.on("response", lambda answer: self.answers.update({(answer.request.method, urlsplit(answer.url).path): answer}))
        self.page.goto(f"{url}/")
        expect(self.page.get_by_role("textbox")).to_be_editable(timeout=15_000)

    def wait_for(self, method, path):
        def answer():
            self.page.title()  # lets the browser say what has happened
            return self.answers.get((method, path))

        return eventually(f"an answer to {method} {path}", answer, within=15)

    def ask(self, text):
        """Asks, and returns the server whose answer has begun."""
        self.wait_for("GET", "/v1/models")
        self.page.get_by_role("textbox").fill(text)
        self.page.keyboard.press("Enter")
        return self.wait_for("POST", "/v1/chat/completions").headers["x-balancer-server"]

    def shown(self):
        """The answer as the page shows it."""
        return self.page.get_by_role("group", name="Assistant message").get_by_role("paragraph").all_inner_texts()


@pytest.fixture
def visit(browser):
    visitors = []

    def visit(url):
        visitors.append(Visitor(browser, url))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.page.context.close()


@pytest.fixture
def engines(start_llama_server):
    return {name: start_llama_server(name, "slow-byte", slots=1, context=4096, batch=64) for name in ("one", "two")}


def test_it_is_loaded_with_the_same_answers_as_from_the_engine(visit, start_balancer, alpha):
    balancer = start_balancer({"servers": {"alpha": server(alpha)}})
    needed = [("GET", "/"), ("GET", "/props"), ("GET", "/v1/models"), ("GET", "/tools"), ("POST", "/tools")]
    statuses = []
    for url in (alpha.url, balancer.url):
        visitor = visit(url)
        statuses.append({request: visitor.wait_for(*request).status for request in needed})
    assert statuses[1] == statuses[0]
    assert statuses[1]["GET", "/"] == 200


def test_two_users_at_once_are_answered_by_a_server_each(visit, start_balancer, engines):
    balancer = start_balancer({"servers": {name: server(engine) for name, engine in engines.items()}})
    users = {name: visit(balancer.url) for name in ("Ana", "Ben")}
    homes = {user.ask(f"Hello, this is {name}.") for name, user in users.items()}
    assert homes == {"one", "two"}
    assert {name: engine.processing() for name, engine in engines.items()} == {"one": 1, "two": 1}
    for name, user in users.items():
        text = eventually(f"{name} sees an answer", user.shown)
        eventually(f"it grows for {name}", user.shown, lambda now, text=text: now != text)
    users["Ana"].page.screenshot(path=OUTPUT / "engine-page.png")


def test_the_stop_button_stops_the_engine_that_answers(visit, start_balancer, engines):
    balancer = start_balancer({"servers": {name: server(engine) for name, engine in engines.items()}})
    user = visit(balancer.url)
    user.wait_for("GET", "/v1/models")
    balancer.request("POST", "/admin/servers/one/drain")
    assert user.ask("Hello") == "two"
    balancer.request("POST", "/admin/servers/one/undrain")
    eventually("an answer is seen", user.shown)
    user.page.get_by_role("button", name="Stop", exact=True).click()
    assert user.wait_for("DELETE", "/v1/stream").headers["x-balancer-server"] == "two"
    eventually("the engine has stopped", engines["two"].processing, becomes(0))
