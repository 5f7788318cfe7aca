"""What two parsers could read differently is refused, or made unambiguous; it never reaches an engine as it came."""

import re

from suite import add
from support.client import Connection
from support.waiting import expect

LENGTH = "Content-Length: 2\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
CHUNKS = "2\r\n{}\r\n0\r\n\r\n"

# name, what is sent (WORD stands for a word of this row), and whether a proxy may repair it: send on one request that can be
# read in one way only (RFC 9112 allows that for some).
ROWS = [
    ("length with chunks", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{LENGTH}{CHUNKED}\r\n{CHUNKS}", True),
    ("chunks with length", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}{LENGTH}\r\n{CHUNKS}", True),
    ("two equal lengths", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{LENGTH}{LENGTH}\r\n{{}}", True),
    ("two different lengths", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{LENGTH}Content-Length: 3\r\n\r\n{{}}x", False),
    ("a list of lengths", "POST /WORD HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\n{}", True),
    ("a length with a plus", "POST /WORD HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}", False),
    ("a hexadecimal length", "POST /WORD HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\n{}", False),
    ("an empty length", "POST /WORD HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", False),
    ("a negative length", "POST /WORD HTTP/1.1\r\nHost: a\r\nContent-Length: -2\r\n\r\n", False),
    ("a length of 30 digits", "POST /WORD HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000000000000000000002\r\n\r\n{}", False),
    ("gzip, chunked", f"POST /WORD HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{CHUNKS}", False),
    ("xchunked", f"POST /WORD HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n{CHUNKS}", False),
    ("chunked, identity", f"POST /WORD HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n{CHUNKS}", False),
    ("chunked twice", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}{CHUNKED}\r\n{CHUNKS}", False),
    ("chunked with a vertical tab", f"POST /WORD HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n{CHUNKS}", False),
    ("a coding on a second line", f"POST /WORD HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n{CHUNKS}", True),
    ("chunks in HTTP/1.0", f"POST /WORD HTTP/1.0\r\nHost: a\r\n{CHUNKED}\r\n{CHUNKS}", True),
    ("a folded field", "GET /WORD HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", True),
    ("lines that end in LF alone", "GET /WORD HTTP/1.1\nHost: a\n\n", True),
    ("a CR in a value", "GET /WORD HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n", True),
    ("a NUL in a value", "GET /WORD HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n", True),
    ("a space before the colon", f"POST /WORD HTTP/1.1\r\nHost: a\r\nContent-Length : 2\r\n\r\n{{}}", False),
    ("an empty name", "GET /WORD HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", False),
    ("no host", "GET /WORD HTTP/1.1\r\n\r\n", False),
    ("two hosts", "GET /WORD HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", False),
    ("a host with a path", "GET /WORD HTTP/1.1\r\nHost: a/b\r\n\r\n", False),
    ("a host with a user", "GET /WORD HTTP/1.1\r\nHost: u@a\r\n\r\n", False),
    ("an absolute target of another host", "GET http://b/WORD HTTP/1.1\r\nHost: a\r\n\r\n", True),
    ("CONNECT", "CONNECT WORD:443 HTTP/1.1\r\nHost: WORD:443\r\n\r\n", False),
    ("a chunk size with a sign", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n+2\r\n{{}}\r\n0\r\n\r\n", False),
    ("a chunk size with 0x", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n0x2\r\n{{}}\r\n0\r\n\r\n", False),
    ("a chunk size of 20 digits", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n10000000000000000002\r\n{{}}\r\n0\r\n\r\n", False),
    ("a chunk longer than its size", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n2\r\n{{}}xx\r\n0\r\n\r\n", False),
    ("a chunk without its line end", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n2\r\n{{}}0\r\n\r\n", False),
    ("a chunk size after a space", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n 2\r\n{{}}\r\n0\r\n\r\n", False),
    ("a chunk size that ends in LF alone", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n2\n{{}}\r\n0\r\n\r\n", True),
    ("a chunk extension with LF alone", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n2;x\n{{}}\r\n0\r\n\r\n", True),
    ("garbage after the last chunk", f"POST /WORD HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n2\r\n{{}}\r\n0\r\ngarbage\r\n\r\n", True),
    ("a space before the first field", "GET /WORD HTTP/1.1\r\n X-A: b\r\nHost: a\r\n\r\n", True),
    ("a tab inside chunked", f"POST /WORD HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chun\tked\r\n\r\n{CHUNKS}", False),
    ("chunked with a parameter", f"POST /WORD HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n{CHUNKS}", False),
    ("two spaces in the request line", "GET  /WORD HTTP/1.1\r\nHost: a\r\n\r\n", True),
    ("tabs in the request line", "GET\t/WORD\tHTTP/1.1\r\nHost: a\r\n\r\n", True),
    ("HTTP/1.2", "GET /WORD HTTP/1.2\r\nHost: a\r\n\r\n", True),
    ("HTTP/2.0", "GET /WORD HTTP/2.0\r\nHost: a\r\n\r\n", False),
    ("a control character in the target", "GET /WORD\x01 HTTP/1.1\r\nHost: a\r\n\r\n", False),
]  # fmt: skip


# What an engine may be sent after a repair: one reading, whoever reads.
REQUEST_LINE = re.compile(rb"[A-Z]+ /[!-~]* HTTP/1\.[01]")
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")


def ambiguity(request):
    """What two engines could read differently in a request that was sent on."""
    line, *lines = request.raw.split(b"\r\n")
    codings, lengths = request.all("Transfer-Encoding"), request.all("Content-Length")
    if not REQUEST_LINE.fullmatch(line):
        return "its request line"
    if bad := next((field for field in lines if not FIELD.fullmatch(field)), None):
        return f"the field {bad!r}"
    if len(codings) + len(lengths) > 1 or not all(c.lower() == "chunked" for c in codings) or not all(n.isdigit() for n in lengths):
        return "where its body ends"
    if codings and line.endswith(b"1.0"):
        return "chunks in HTTP/1.0"
    if len(request.all("Host")) != 1:
        return "its host"
    return None if request.body in (b"", b"{}") else "its body"


def send(stage, name, text, may_repair, number):
    word, second = f"row-{number}-x", f"smuggled-{number}-x"
    probe = f"GET /{second} HTTP/1.1\r\nHost: a\r\n\r\n"
    with Connection(stage.port, timeout=4) as client:
        try:
            client.send(text.replace("WORD", word).encode("latin-1") + probe.encode())
            answer = client.read_answer()
            status = answer.status
            client.is_closed_within(0.3)
        except (OSError, ValueError, IndexError):
            status = None
    arrived = next((r for e in stage.engines for r in e.requests if word in r.line), None)
    if arrived is None:
        expect(status is None or status >= 400, f"answered {status} without an engine")
        expect(not any(e.saw(second) for e in stage.engines), "what followed it on the connection was served")
        # A body with a flaw may be on its way when the flaw is found: then the engine must not get the end of it. A head may not.
        head, _, body = text.partition("\r\n\r\n")
        flaw_in_body = CHUNKED in head + "\r\n" and head.count(":") == 2 and body != CHUNKS
        expect(flaw_in_body or not any(e.saw(word) for e in stage.engines), "it was sent on, and the engine could not read it")
        return f"{status}" if status else "closed"
    expect(may_repair, "it was sent on")
    expect(not (problem := ambiguity(arrived)), f"it was sent on, and unclear is {problem}")
    return "repaired"


for number, (name, text, may_repair) in enumerate(ROWS):
    add(
        f"strict-{name.lower().replace(' ', '-').replace(',', '').replace('/', '-')}", "strictness",
        f"Refused, or made unambiguous: {name}." if may_repair else f"Refused: {name}.",
        lambda stage, _, row=(name, text, may_repair, number): send(stage, *row), engines=("raw", "raw"), any_path=True,
    )  # fmt: skip
