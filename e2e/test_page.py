"""The monitor page in a real browser."""

import re

from playwright.sync_api import expect

from support.balancer import chat_body, server
from support.process import OUTPUT


def test_the_page_shows_the_servers_and_their_work_live_without_errors(browser, start_balancer, slow_alpha, slow_beta):
    balancer = start_balancer({"servers": {"slow-alpha": server(slow_alpha), "slow-beta": server(slow_beta)}})
    page = browser.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))

    page.goto(f"{balancer.url}/llmhealth-monitor")
    for name in ("slow-alpha", "slow-beta"):
        expect(page.get_by_text(re.compile(rf"\b{name}\b")).first).to_be_visible()
    at_rest = page.inner_text("body")

    stream = balancer.exchange("/v1/chat/completions", chat_body("slow-byte", max_tokens=1500, stream=True))
    stream.read_some()
    home = stream.response.headers["X-Balancer-Server"]
    row = page.locator("tr, li, article, section, div").filter(has_text=re.compile(rf"^\s*{home}\b")).first
    expect(row).to_contain_text("slow-byte", timeout=10_000)
    page.screenshot(path=OUTPUT / "monitor.png", full_page=True)
    assert page.inner_text("body") != at_rest
    stream.leave()
    expect(row).not_to_contain_text("slow-byte", timeout=10_000)
    assert complaints == []


def test_with_keys_the_page_asks_for_an_administrators_key_and_lives_on(browser, start_balancer, slow_alpha):
    keys = [{"name": "operator", "key": "${OPERATOR}", "admin": True}, {"name": "user", "key": "${USER_KEY}"}]
    env = {"OPERATOR": "lb-operators-key-0123456789", "USER_KEY": "lb-a-users-key-0123456789"}
    configuration = {"servers": {"slow-alpha": server(slow_alpha)}, "keys": keys}
    balancer = start_balancer(configuration, up=(), env=env)
    stranger = balancer.request("GET", "/llmhealth-monitor")
    assert stranger.status == 401 and stranger.headers["WWW-Authenticate"].startswith("Basic ")
    for name, status in (("OPERATOR", 200), ("USER_KEY", 403)):
        context = browser.new_context(http_credentials={"username": "anybody", "password": env[name]})
        page = context.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))  # noqa: B023
        assert page.goto(f"{balancer.url}/llmhealth-monitor").status == status
        if status == 200:
            expect(page.get_by_text("slow-alpha").first).to_be_visible()
            stream = balancer.exchange(
                "/v1/chat/completions",
                chat_body("slow-byte", max_tokens=1500, stream=True),
                {"Authorization": f"Bearer {env['USER_KEY']}"},
            )
            stream.read_some()
            expect(page.get_by_text("slow-byte").first).to_be_visible(timeout=10_000)
            page.screenshot(path=OUTPUT / "monitor-with-keys.png", full_page=True)
            stream.leave()
        assert complaints == []
        context.close()
