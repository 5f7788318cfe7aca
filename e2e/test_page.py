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
