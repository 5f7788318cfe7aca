"""What engines and clients really send, though it looks odd."""

import json

from suite import check
from support.client import CHAT, MODEL, Connection, ask, chat_body, somebody
from support.waiting import expect

GROUP = "odd but right"


@check("spaces-after-sizes", GROUP, engines=("raw", "raw"))
def spaces_after_sizes(stage, _):
    """An answer whose chunk sizes are followed by spaces, before the line's end or an extension, reaches the client whole."""
    odd = b"".join(
        f"{len(data):x}{space}\r\n".encode() + data + b"\r\n"
        for data, space in ((b"one ", " "), (b"two ", "   "), (b"three ", " ;a=b"), (b"four", ""))
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    for engine in stage.engines:
        engine.answer = lambda request, peer: peer.send(head + odd + b"0\r\n\r\n")
    with Connection(stage.port) as client:
        for _ in range(2):
            got = client.ask("POST", CHAT, somebody(), chat_body()).read_answer()
            expect(got.status == 200 and got.clean and got.body == b"one two three four", f"{got}")


@check("billing-line", GROUP, engines=("vllm", "vllm"), needs="constant_prompts")
def billing_line(stage, _):
    """Claude Code's billing line, which changes with every request, does not change what an engine has to compute: two requests
    that differ in nothing else reach it equal."""
    bodies = []
    for word in ("a1f", "0c9"):
        line = f"x-anthropic-billing-header: cc_version=2.1.37.{word}; cc_entrypoint=cli; cch={word}{word[:2]};"
        system = [{"type": "text", "text": line}, {"type": "text", "text": "You are Claude Code."}]
        body = {"model": MODEL, "max_tokens": 4, "system": system, "messages": [{"role": "user", "content": "Hello"}]}
        for engine in stage.engines:
            engine.forget()
        ask(stage.port, "POST", "/v1/messages", [("X-Session-Id", "one")], json.dumps(body).encode())
        bodies += [request.body for engine in stage.engines for request in engine.requests if request.target == "/v1/messages"]
    expect(len(bodies) == 2, f"{len(bodies)} requests came")
    expect(bodies[0] == bodies[1], f"{bodies[0][60:200]!r} and {bodies[1][60:200]!r}")
