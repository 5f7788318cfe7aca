"""What is asked, in which API, and what a whole and correct answer to it looks like."""

import json
from dataclasses import dataclass, field

from engines import NONCES

FILLER = "the quick brown llama jumps over the lazy balancer and looks for a free slot again, then".split()
WORDS = ("lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore " * 700)[:60_000]
ALL, PONDS = frozenset({"amber", "birch", "cedar"}), frozenset({"birch", "cedar"})


@dataclass
class Asked:
    """One request with everything needed to judge its answer. The model's name is a nonce: engines put it into their answers."""

    kind: str
    form: str
    id: str
    client: str
    path: str = ""
    api: str = "openai"
    body: bytes = b""
    padding: bytes = b""  # goes into the body, where the mark is
    model: str = ""
    tokens: int = 0
    prompt_tokens: int = 0
    engines: frozenset = ALL
    fault: str = ""  # X-Fake-Fault
    must: str = "whole"  # whole, fail, refused
    headers: dict = field(default_factory=dict)


PADDING_MARK = b"@PADDING@"
PATHS = {
    "chat-stream": ("/v1/chat/completions", "openai"),
    "chat": ("/v1/chat/completions", "openai"),
    "messages-stream": ("/v1/messages", "anthropic"),
    "ollama-stream": ("/api/chat", "ollama"),
    "embeddings": ("/v1/embeddings", "openai"),
    "big-answer": ("/v1/chat/completions", "openai"),
}
BIG_ANSWER = 12_000_000  # bytes: more than the sockets on the way hold


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def asked(kind, form, number, client, random, tokens=None, prompt_bytes=None, padding=b"", **more):
    """`number` counts the requests of a client: together they choose the nonce, never the same twice in a row."""
    path, api = PATHS[form]
    nonce = NONCES[(hash_of(client) + 7 * number) % len(NONCES)]
    tokens = tokens or random.randrange(6, 60)
    start, length = random.randrange(20_000), prompt_bytes or random.choice((20, 200, 200, 1000, 4000)) + random.randrange(40)
    text = WORDS[start : start + length]
    messages = [{"role": "user", "content": text}]
    document = {"model": ("pond-" if form == "ollama-stream" else "soak-") + nonce}
    if form == "embeddings":
        document["input"] = [text, text[:17], text]
        prompt = document["input"]
    elif form == "ollama-stream":
        document |= {"messages": messages, "options": {"num_predict": tokens}}
        prompt = messages
    else:
        document |= {"messages": messages, "max_tokens": tokens, "stream": form.endswith("stream")}
        prompt = messages
    if form == "chat-stream" and random.random() < 0.5:
        document["stream_options"] = {"include_usage": True}
    if padding:
        document["attachment"] = PADDING_MARK.decode()
    return Asked(
        kind, form, f"{client}-{number}", client, path, api, compact(document), padding, document["model"], tokens,
        max(1, (len(compact(prompt)) + 3) // 4), PONDS if form == "ollama-stream" else ALL, **more,
    )  # fmt: skip


def hash_of(client):
    return int("".join(c for c in client if c.isdigit()) or 0) * 11


def payload(request, version="1.1", close=False):
    """The pieces to send."""
    body = [request.body]
    if request.padding:
        before, after = request.body.split(PADDING_MARK)
        body = [before, request.padding, after]
    lines = [f"POST {request.path} HTTP/{version}", "Host: soak.example", "Content-Type: application/json"]
    lines += [f"Content-Length: {sum(map(len, body))}", f"X-Request-Id: {request.id}", f"X-Session-Id: {request.client}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.fault:
        lines.append(f"X-Fake-Fault: {request.fault}")
    if close and version == "1.1":
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return [head + body[0], *body[1:]]


# Whole answers. Each function raises ValueError, KeyError … or Wrong with what is not as it should be.


class Wrong(Exception):
    pass


def expect(what, seen, wanted):
    if seen != wanted:
        raise Wrong(f"{what} is {str(seen)[:200]!r}, not {str(wanted)[:200]!r}")


def whole_problem(request, answer):
    """Why a 200 is not the whole, right and only answer to the request; None where it is."""
    try:
        CHECKS[request.form](request, answer)
    except Wrong as wrong:
        return str(wrong)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"{error!r} in {bytes(answer.body[-200:])!r}"
    return None


def check_text(request, answer, words, model):
    expect("the model", model, request.model)
    expect("the number of tokens", len(words), request.tokens)
    server = answer.headers.get("x-balancer-server", words[0])
    if words[0] not in request.engines:
        raise Wrong(f"answered by {words[0]!r}")
    rest = [" " + FILLER[index % len(FILLER)] for index in range(request.tokens - 3)]
    expect("the text", words, [server, " answers as", f" {request.model}:"] + rest)


def check_usage(request, usage):
    expect("prompt_tokens", usage["prompt_tokens"], request.prompt_tokens)


def sse(body):
    events = []
    for block in bytes(body).decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            name = [line[6:].strip() for line in lines if line.startswith("event:")]
            data = [line[5:].strip() for line in lines if line.startswith("data:")]
            expect("data lines in an event", len(data), 1)
            events.append((name[0] if name else "", data[0]))
    return events


def check_chat_stream(request, answer):
    events = [data for _, data in sse(answer.body)]
    expect("the number of [DONE]", events.count("[DONE]"), 1)
    expect("the last event", events.pop(), "[DONE]")
    chunks = [json.loads(event) for event in events]
    if errors := [chunk for chunk in chunks if "error" in chunk]:
        raise Wrong(f"an error in a whole stream: {errors[0]}")
    expect("ids", len({chunk["id"] for chunk in chunks}), 1)
    deltas = [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]
    check_text(request, answer, [text for text in deltas if text is not None], chunks[-1]["model"])
    ends = [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]]
    expect("finish reasons", [end for end in ends if end], ["length"])
    for chunk in chunks:
        if "usage" in chunk:
            check_usage(request, chunk["usage"])


def check_chat(request, answer):
    document = json.loads(answer.body)
    (choice,) = document["choices"]
    words = words_of(choice["message"]["content"])
    check_text(request, answer, words, document["model"])
    expect("completion_tokens", document["usage"]["completion_tokens"], request.tokens)
    check_usage(request, document["usage"])


def words_of(text):
    """The tokens of a text, as the fake engine makes them: its name, " answers as", " MODEL:", then words."""
    server, as_, rest = text.partition(" answers as")
    return [server, as_] + [" " + word for word in rest.split()]


def check_messages_stream(request, answer):
    events = [(name, json.loads(data)) for name, data in sse(answer.body)]
    events = [(name, event) for name, event in events if name != "ping"]
    for name, event in events:
        expect("an event's type", event["type"], name)
    names = [name for name, _ in events]
    for name in ("message_start", "message_stop"):
        expect(f"the number of {name}", names.count(name), 1)
    expect("the first event", names[0], "message_start")
    expect("the last event", names[-1], "message_stop")
    message = events[0][1]["message"]
    words = [event["delta"]["text"] for name, event in events if name == "content_block_delta"]
    check_text(request, answer, words, message["model"])
    usage = message["usage"]
    expect("input tokens", usage["input_tokens"] + usage["cache_read_input_tokens"], request.prompt_tokens)


def check_ollama_stream(request, answer):
    lines = [json.loads(line) for line in bytes(answer.body).decode().splitlines()]
    expect("done", [line["done"] for line in lines], [False] * request.tokens + [True])
    check_text(request, answer, [line["message"]["content"] for line in lines[:-1]], lines[-1]["model"])
    expect("prompt_eval_count", lines[-1]["prompt_eval_count"], request.prompt_tokens)
    expect("eval_count", lines[-1]["eval_count"], request.tokens)


def check_embeddings(request, answer):
    document = json.loads(answer.body)
    expect("the model", document["model"], request.model)
    expect("the indices", [entry["index"] for entry in document["data"]], [0, 1, 2])
    first, second, third = (entry["embedding"] for entry in document["data"])
    if len(first) != 8 or first != third or first == second:
        raise Wrong("the vectors are not those of the texts")
    check_usage(request, document["usage"])


def check_big_answer(request, answer):
    expect("the length", len(answer.body), BIG_ANSWER)
    expect("other bytes than x", len(answer.body) - answer.body.count(b"x"), 0)


CHECKS = {
    "chat-stream": check_chat_stream, "chat": check_chat, "messages-stream": check_messages_stream,
    "ollama-stream": check_ollama_stream, "embeddings": check_embeddings, "big-answer": check_big_answer,
}  # fmt: skip
