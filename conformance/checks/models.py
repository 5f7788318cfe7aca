"""Where a request names its model, the engine that has it gets it, and no other. Each of the two engines has one model."""

import gzip
import json

from suite import add, check
from support.client import CHAT, ask, chat_body, somebody
from support.engines import whole_answer
from support.waiting import NotApplicable, expect

ENGINES = ("vllm:model-of-a", "vllm:model-of-b")
NEEDS = "model_lists"
SETTINGS = {"many_models": True}
ROUNDS = 10


def arrivals(stage, method, target, body=None, fields=()):
    """Asks for the models of both engines in turn; MODEL in the target or the body is replaced. Returns how many came to the
    right engine, how many to the other one, and the statuses."""
    right = wrong = 0
    statuses = []
    for engine, other, model in ((stage.a, stage.b, "model-of-a"), (stage.b, stage.a, "model-of-b")):
        for each in stage.engines:
            each.answer = lambda request, peer: peer.send(whole_answer(b'{"object":"thing","data":[]}'))
            each.forget()
        where = target.replace("MODEL", model)
        for _ in range(ROUNDS):
            sent = body(model) if callable(body) else body
            statuses.append(ask(stage.port, method, where, [*somebody(), *fields], sent).status)
        right += came(engine, method, where)
        wrong += came(other, method, where)
    return right, wrong, statuses


def came(engine, method, target):
    return sum((request.method, request.target) == (method, target) for request in list(engine.requests))


def goes_there(stage, method, target, body=None, fields=()):
    right, wrong, statuses = arrivals(stage, method, target, body, fields)
    if stage.proxy.passes_any_path is not True and set(statuses) <= {404, 405, 501} and not right + wrong:
        raise NotApplicable("passes on the paths of its API only")
    seen = f"{right} of {2 * ROUNDS} came to the right engine, {wrong} to the other; answered {sorted(set(statuses))}"
    expect(not wrong and right == 2 * ROUNDS and set(statuses) == {200}, seen)


def json_body(**fields):
    return lambda model: json.dumps({"model": model} | fields).encode()


def form(model):
    part = '--XyZ\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
    file = part.format("file", '; filename="a.wav"\r\nContent-Type: audio/wav', "RIFF\0\0\0\0WAVEfmt ")
    return (file + part.format("model", "", model) + "--XyZ--\r\n").encode()


FORM = [("Content-Type", "multipart/form-data; boundary=XyZ")]

for id, method, target, what, body, fields in (
    ("chat", "POST", CHAT, "A chat", lambda model: chat_body(model=model), ()),
    ("responses", "POST", "/v1/responses", "A request to /v1/responses", json_body(input="x"), ()),
    ("messages", "POST", "/v1/messages", "A request to /v1/messages", lambda model: chat_body(model=model), ()),
    ("embeddings", "POST", "/v1/embeddings", "A request to /v1/embeddings", json_body(input="x"), ()),
    ("score", "POST", "/v1/score", "A request to /v1/score", json_body(text_1="x", text_2="y"), ()),
    ("rerank", "POST", "/v2/rerank", "A request to /v2/rerank", json_body(query="x", documents=["x", "y"]), ()),
    ("input-tokens", "POST", "/v1/responses/input_tokens", "A request to /v1/responses/input_tokens", json_body(input="x"), ()),
    ("images", "POST", "/v1/images/generations", "A request to /v1/images/generations", json_body(prompt="x"), ()),
    ("in-query", "GET", "/v1/something?model=MODEL", "A request with `?model=` on a path that nobody knows", None, ()),
    ("in-form", "POST", "/v1/audio/transcriptions", "An upload of audio with the model in a field of its form", form, FORM),
    ("after-bom", "POST", CHAT, "A chat that begins with a byte order mark", lambda m: b"\xef\xbb\xbf" + chat_body(model=m), ()),
):  # fmt: skip
    add(
        f"model-{id}", "models", f"{what} goes to the engine that has its model: 20 of 20.",
        lambda stage, _, row=(method, target, body, fields): goes_there(stage, *row),
        engines=ENGINES, needs=NEEDS, settings=SETTINGS,
    )  # fmt: skip


@check("model-compressed", "models", engines=ENGINES, needs=NEEDS, many_models=True)
def compressed(stage, _):
    """A compressed body goes to the engine that has its model, or is refused with 4xx; never to the other one."""

    def body(model):
        return gzip.compress(chat_body(model=model))

    right, wrong, statuses = arrivals(stage, "POST", CHAT, body, [("Content-Encoding", "gzip")])
    expect(not wrong, f"{wrong} of {2 * ROUNDS} came to the wrong engine")
    refused = not right and all(400 <= status < 500 for status in statuses)
    expect(right == 2 * ROUNDS or refused, f"{right} came to the right engine; {sorted(set(statuses))}")
    return f"{sorted(set(statuses))}" if refused else "all came to the right engine"


@check("model-by-id", "models", engines=ENGINES, needs=NEEDS, many_models=True)
def by_id(stage, _):
    """`GET /v1/models/ID` is answered with that model: 20 of 20."""
    for engine in stage.engines:
        engine.answer = lambda request, peer, engine=engine: peer.send(about(request.target, engine.model))
    for number in range(2 * ROUNDS):
        model = stage.engines[number % 2].model
        answer = stage.ask("GET", f"/v1/models/{model}", somebody())
        expect(answer.status == 200 and answer.json()["id"] == model, f"asked for {model}: {answer}")


def about(target, model):
    if target.endswith("/" + model):
        return whole_answer(json.dumps({"id": model, "object": "model", "created": 1, "owned_by": "vllm"}).encode())
    return whole_answer(b'{"error":{"message":"no such model"}}', status="404 Not Found")


@check("model-list", "models", engines=ENGINES, needs=NEEDS, many_models=True)
def model_list(stage, _):
    """`GET /v1/models` lists the models of all engines, each once."""
    for _ in range(4):
        answer = stage.ask("GET", "/v1/models", somebody())
        listed = sorted(model["id"] for model in answer.json().get("data", []))
        expect(listed == ["model-of-a", "model-of-b"], f"{answer}")
