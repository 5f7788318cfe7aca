"""What an engine made exists there alone, and later requests for it find it."""

import json
import threading

from suite import check
from support.client import MODEL, ask, somebody
from support.engines import whole_answer
from support.waiting import NotApplicable, expect

RESPONSES = "/v1/responses"
GROUP = "what engines keep"


def keepers(stage):
    """Engines that keep responses, and know none but their own."""
    lock, counts = threading.Lock(), [0, 0]

    def keeper(engine):
        kept = set()

        def answer(request, peer):
            path = request.target.partition("?")[0]
            if request.method == "POST" and path == RESPONSES:
                earlier = json.loads(request.body).get("previous_response_id")
                if earlier and earlier not in kept:
                    return peer.send(not_found(earlier))
                with lock:
                    counts[engine.number] += 1
                    id = f"resp_{engine.number}{counts[engine.number]:06d}"
                kept.add(id)
                return peer.send(whole_answer(response(id)))
            id = path.removeprefix(RESPONSES + "/")
            if request.method == "DELETE" and id in kept:
                kept.discard(id)
                return peer.send(whole_answer(json.dumps({"id": id, "object": "response", "deleted": True}).encode()))
            peer.send(whole_answer(response(id)) if id in kept else not_found(id))

        return answer

    for engine in stage.engines:
        engine.answer = keeper(engine)


def response(id):
    content = [{"type": "output_text", "text": "Good day.", "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    about = {"id": id, "object": "response", "created_at": 1, "status": "completed", "model": MODEL}
    return json.dumps(about | {"output": [message], "usage": usage}).encode()


def not_found(id):
    return whole_answer(json.dumps({"error": {"message": f"no response {id}"}}).encode(), status="404 Not Found")


def make(stage, **more):
    body = {"model": MODEL, "input": "Hello", "store": True} | more
    return ask(stage.port, "POST", RESPONSES, somebody(), json.dumps(body).encode())


def made(stage):
    """Twelve responses of twelve clients, of both engines."""
    keepers(stage)
    answers = [make(stage) for _ in range(12)]
    expect([a.status for a in answers] == [200] * 12, f"{[str(a) for a in answers if a.status != 200][:1]}")
    ids = [answer.json()["id"] for answer in answers]
    expect(all(engine.asked() for engine in stage.engines), "one engine made all of them: nothing was shown")
    return ids


def twice(ids):
    """Each twice in a row: whoever takes the engines in turn would find them by chance."""
    return [id for id in ids for _ in range(2)]


@check("kept-response", GROUP, engines=("vllm", "vllm"), needs="ownership")
def kept_response(stage, _):
    """`GET /v1/responses/ID` of any client reaches the engine that made the response."""
    for id in twice(made(stage)):
        got = stage.ask("GET", f"{RESPONSES}/{id}", somebody())
        expect(got.status == 200 and got.json()["id"] == id, f"{got}")


@check("kept-deleted", GROUP, engines=("vllm", "vllm"), needs="ownership")
def kept_deleted(stage, _):
    """`DELETE /v1/responses/ID` of any client reaches the engine that made the response."""
    for id in reversed(made(stage)):
        got = stage.ask("DELETE", f"{RESPONSES}/{id}", somebody())
        if got.status in (405, 501) and stage.proxy.passes_any_path is not True:
            raise NotApplicable("passes on the paths of its API only")
        expect(got.status == 200 and got.json().get("deleted"), f"{got}")


@check("kept-previous", GROUP, engines=("vllm", "vllm"), needs="ownership")
def previous_response(stage, _):
    """A request that goes on from a response (`previous_response_id`) reaches the engine that made it."""
    for id in twice(made(stage)):
        got = make(stage, previous_response_id=id)
        expect(got.status == 200, f"{got}")
