"""Bytes pass untouched."""

import gzip

from suite import add, check
from support.client import CHAT, Connection, chat_body, somebody
from support.engines import CHAT_ANSWER, whole_answer
from support.waiting import expect

ODD_BODY = (
    '{ "model" :\t"fake-model","x":1.50E+2,"x":-0.0,\r\n "big":123456789012345678901234567890, "esc":"\\u00e9\\ud83d\\ude00\\/",'
    '"emoji":"😀 é","messages":[{"role":"user","content":"a\\tb"}] ,"stream":false }\n'
).encode()


def raw_exchange(stage, answer, method="POST", target=CHAT, fields=(), body=ODD_BODY, head_only=False):
    """One exchange with a raw engine that sends exactly `answer`. Returns what the client got and what the engine saw."""

    def play(request, peer):
        peer.send(answer)

    for engine in stage.engines:
        engine.answer = play
    with Connection(stage.port) as client:
        got = client.ask(method, target, [*somebody(), *fields], body).read_answer(head_only=head_only)
    return got, next((r for engine in stage.engines for r in engine.requests if (r.method, r.target) == (method, target)), None)


@check("body-out", "fidelity", engines=("raw", "raw"))
def body_out(stage, _):
    """A request's body reaches the engine byte for byte: white space, escapes, repeated keys, big numbers."""
    _, seen = raw_exchange(stage, whole_answer(CHAT_ANSWER))
    expect(seen.body == ODD_BODY, f"the engine got {seen.body[:200]!r}")


@check("body-back", "fidelity", engines=("raw", "raw"))
def body_back(stage, _):
    """An answer reaches the client byte for byte."""
    odd = ODD_BODY + bytes(range(256))
    got, _ = raw_exchange(stage, whole_answer(odd, "application/octet-stream"))
    expect(got.body == odd and got.clean, f"{got}")


@check("fields-both-ways", "fidelity", engines=("raw", "raw"))
def fields_both_ways(stage, _):
    """Repeated fields pass in their order, both ways."""
    cookies = ["b=2", "a=1", "c=3"]
    more = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in cookies)
    got, seen = raw_exchange(stage, whole_answer(CHAT_ANSWER, more=more), fields=[("X-Many", cookie) for cookie in cookies])
    there = [part.strip() for value in seen.all("X-Many") for part in value.split(",")]
    expect(there == cookies, f"the engine got {there}")
    expect(got.all("Set-Cookie") == cookies, f"the client got {got.all('Set-Cookie')}")


@check("chunks-out", "fidelity", engines=("raw", "raw"))
def chunks_out(stage, _):
    """A request's body that comes in chunks reaches the engine with the same content."""
    pieces = [ODD_BODY[at : at + 7] for at in range(0, len(ODD_BODY), 7)]
    sent = b"".join(f"{len(piece):x};x=y\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\nX-Trailer: z\r\n\r\n"
    got, seen = raw_exchange(stage, whole_answer(CHAT_ANSWER), fields=[("Transfer-Encoding", "chunked")], body=sent)
    expect(got.status == 200 and seen.body == ODD_BODY, f"{got}; the engine got {seen and seen.body[:200]!r}")


@check("chunks-back", "fidelity", engines=("raw", "raw"))
def chunks_back(stage, _):
    """An answer in chunks with extensions and a trailer reaches the client with the same content."""
    odd = ODD_BODY + bytes(range(256))
    pieces = b"".join(f'{len(odd[at : at + 5]):X};a="b;c"\r\n'.encode() + odd[at : at + 5] + b"\r\n" for at in range(0, len(odd), 5))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n"
    got, _ = raw_exchange(stage, head + pieces + b"0\r\nX-End: yes\r\n\r\n")
    expect(got.clean and got.body == odd, f"{got}")


@check("lengths-without-bodies", "fidelity", engines=("raw", "raw"), any_path=True)
def lengths_without_bodies(stage, _):
    """A length in a 304 or in an answer to HEAD announces no body: the connection goes on."""

    def play(request, peer):
        status = "304 Not Modified" if "not-modified" in request.target else "200 OK"
        peer.send(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n".encode() + (b"whole" if "whole" in request.target else b""))

    for engine in stage.engines:
        engine.answer = play
    with Connection(stage.port, timeout=5) as client:
        got = [client.ask("HEAD", "/head").read_answer(head_only=True).status, client.ask("GET", "/not-modified").read_answer().status]
        body = client.ask("GET", "/whole").read_answer().body
    expect(got == [200, 304] and body == b"whole", f"{got}, then {body!r}")


FAULTS = {
    "gzip": ("gzip", "A compressed answer stays as it is.",
             lambda a: a.field("Content-Encoding") == "gzip" and gzip.decompress(a.body) == b'{"gzip":true}'),
    "extensions": ("chunk-extensions", "Chunk extensions and trailers may pass or not; the content is kept.",
                   lambda a: a.clean and b"[DONE]" in a.body),
    "odd-cuts": ("split-events", "A stream cut at odd places keeps its content.", lambda a: a.clean and b"[DONE]" in a.body),
    "until-close": ("until-close", "An answer without a length is whole at the client.", lambda a: a.clean and b"[DONE]" in a.body),
    "early-hints": ("informational=103", "An interim answer (103) does not disturb the real one.", lambda a: a.clean and a.status == 200),
    "204": ("no-content", "204 has no body, and the connection goes on.", lambda a: a.status == 204),
    "304": ("not-modified", "304 has no body, and the connection goes on.", lambda a: a.status == 304),
}  # fmt: skip


def with_fault(stage, fault, is_right):
    with Connection(stage.port) as client:
        fields = [*somebody(), ("X-Fake-Fault", fault)]
        answer = client.ask("POST", CHAT, fields, chat_body(stream=True)).read_answer()
        expect(is_right(answer), f"{answer}")
        if answer.status in (204, 304):
            expect(client.ask("POST", CHAT, somebody(), chat_body()).read_answer().status == 200, "the next request fails")


for word, (fault, promise, is_right) in FAULTS.items():
    add(f"fidelity-{word}", "fidelity", promise, lambda stage, _, fault=fault, is_right=is_right: with_fault(stage, fault, is_right),
        needs="passes_fields")  # fmt: skip


@check("head", "fidelity", any_path=True)
def head(stage, _):
    """HEAD gets the head alone, and the connection goes on."""
    with Connection(stage.port) as client:
        answer = client.ask("HEAD", "/echo", somebody()).read_answer(head_only=True)
        after = client.ask("POST", CHAT, somebody(), chat_body()).read_answer()
    expect(answer.status == 200 and after.status == 200, f"{answer}, then {after}")


for method in ("PATCH", "DELETE", "PUT", "PROPFIND"):

    def passes(stage, _, method=method):
        answer = stage.ask(method, "/echo/x", somebody(), body=b'{"a":1}')
        expect(answer.status == 200 and answer.json()["method"] == method, f"{answer}")

    add(f"method-{method.lower()}", "fidelity", f"The method {method} passes.", passes, any_path=True)


@check("target", "fidelity", any_path=True)
def target(stage, _):
    """Path, query and percent-encoding pass as they came."""
    wanted = "/echo/a%2Fb//c/../d;p=1?x=%20&y=a+b&&=z"
    answer = stage.ask("GET", wanted, somebody())
    expect(answer.status == 200 and answer.json()["target"] == wanted, f"{answer}")


@check("expect-continue", "fidelity")
def expect_continue(stage, _):
    """`Expect: 100-continue` is answered before the body is sent."""
    body = chat_body()
    with Connection(stage.port, timeout=10) as client:
        fields = [*somebody(), ("Expect", "100-continue"), ("Content-Length", str(len(body))), ("Content-Type", "application/json")]
        client.ask("POST", CHAT, fields)
        line = client.read_until(b"\r\n\r\n")
        expect(line.startswith(b"HTTP/1.1 100"), f"{line[:60]!r}")
        answer = client.send(body).read_answer()
    expect(answer.status == 200, f"{answer}")


@check("pipelining", "fidelity", any_path=True)
def pipelining(stage, _):
    """Five requests sent ahead are answered in their order."""
    with Connection(stage.port) as client:
        for number in range(5):
            client.ask("GET", f"/echo/number-{number}", somebody())
        answers = [client.read_answer() for _ in range(5)]
    order = [f"number-{number}".encode() in answer.body for number, answer in enumerate(answers)]
    expect(all(order), f"{[str(answer) for answer in answers]}")


@check("http10", "fidelity")
def http10(stage, _):
    """An HTTP/1.0 client gets a stream without chunks, ended by the connection's end."""
    body = chat_body(stream=True)
    with Connection(stage.port) as client:
        client.send(f"POST {CHAT} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = client.read_answer()
    expect(answer.field("Transfer-Encoding") is None and b"[DONE]" in answer.body, f"{answer}")


@check("body-20mb", "fidelity")
def large_body(stage, _):
    """A body of 20 MB arrives whole."""
    body = chat_body(text="x" * 20_000_000)
    answer = stage.ask("POST", CHAT, somebody(), body, timeout=60)
    lengths = [r["body_length"] for engine in stage.engines for r in engine.observed()["requests"] if r["target"] == CHAT]
    whole = len(lengths) == 1 and lengths[0] >= 20_000_000  # whoever encodes it anew breaks another promise
    expect(answer.status == 200 and whole, f"{answer}; arrived: {lengths}")
