"""Claude Code's system prompt begins with a line that changes with every request; the prompt cache must not suffer."""

import json

from support.balancer import server

RULES = "You are an agent. " + "Read the files before you change them. " * 80


def billing(number):
    return f"x-anthropic-billing-header: cc_version=2.1.177.{number:03x}; cc_entrypoint=cli; cch={number * 7919:05x};"


def turns(count):
    """A recorded session in the shape of Claude Code's: every request has all earlier turns and a new first line."""
    messages = []
    for turn in range(1, count + 1):
        messages += [{"role": "user", "content": f"Question {turn}: what does file {turn} do? " * 4}]
        system = [{"type": "text", "text": billing(turn)}, {"type": "text", "text": RULES}]
        yield {"model": "tiny-byte", "max_tokens": 8, "system": system, "messages": list(messages)}
        messages += [{"role": "assistant", "content": f"It does this and that, {turn}."}]


def cached_share(usage):
    """Which part of the prompt came from the cache (Anthropic counts cached tokens apart)."""
    cached = usage.get("cache_read_input_tokens", 0)
    return cached / (cached + usage["input_tokens"])


def test_a_session_of_claude_code_stays_cached_on_a_real_engine(start_balancer, start_llama_server):
    engine = start_llama_server("claude-engine", slots=1)
    balancer = start_balancer({"servers": {"engine": server(engine)}})
    shares = []
    before = 0
    for body in turns(5):
        answer = balancer.request("POST", "/v1/messages", body, headers={"anthropic-version": "2023-06-01"})
        assert answer.status == 200, answer
        usage = answer.json()["usage"]
        total = usage.get("cache_read_input_tokens", 0) + usage["input_tokens"]
        # Of the tokens that the turn before had, nearly all must be cached.
        shares.append(min(1, usage.get("cache_read_input_tokens", 0) / before) if before else None)
        before = total
    assert all(share >= 0.95 for share in shares[1:]), shares


def test_only_the_changing_characters_are_replaced(start_balancer, start_recorder):
    recorder = start_recorder("tiny-byte")
    balancer = start_balancer({"servers": {"recorder": server(recorder)}})
    for path in ("/v1/messages", "/v1/chat/completions"):
        body = json.dumps(next(turns(1)), indent=1).encode()
        balancer.request("POST", path, body, headers={"Content-Type": "application/json"})
        sent = recorder.requests[-1][2]
        if path == "/v1/messages":
            assert sent == body.replace(b"2.1.177.001", b"2.1.177.000").replace(b"cch=01eef", b"cch=00000")


def test_a_cloud_gets_them_and_so_does_everybody_with_keep(start_balancer, start_recorder):
    cloud, recorder = start_recorder("cloud"), start_recorder("local")
    servers = {"cloud": server(cloud, kind="openai"), "local": server(recorder)}
    balancer = start_balancer({"servers": servers}, name="replacing")
    body = next(turns(1))
    balancer.request("POST", "/v1/messages", body | {"model": "cloud"})
    assert billing(1).encode() in cloud.requests[-1][2]
    keeping = start_balancer({"servers": servers, "volatile-prompts": "keep"}, name="keeping")
    keeping.request("POST", "/v1/messages", body | {"model": "local"})
    assert billing(1).encode() in recorder.requests[-1][2]
