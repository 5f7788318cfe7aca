"""What two parsers could read differently is refused, or made unambiguous; it never reaches an engine as it came."""

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
    ("two spaces in the request line", "GET  /WORD HTTP/1.1\r\nHost: a\r\n\r\n", True),
    ("tabs in the request line", "GET\t/WORD\tHTTP/1.1\r\nHost: a\r\n\r\n", True),
    ("HTTP/1.2", "GET /WORD HTTP/1.2\r\nHost: a\r\n\r\n", True),
    ("HTTP/2.0", "GET /WORD HTTP/2.0\r\nHost: a\r\n\r\n", False),
    ("a control character in the target", "GET /WORD\x01 HTTP/1.1\r\nHost: a\r\n\r\n", False),
]  # fmt: skip


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
        return f"{status}" if status else "closed"
    expect(may_repair, "it was sent on")
    again = bytes(arrived.raw)
    ambiguous = (
        len(arrived.all("Content-Length")) + len(arrived.all("Transfer-Encoding")) > 1
        or "," in "".join(arrived.all("Content-Length")) or len(arrived.all("Host")) != 1
        or b"\n " in again or b"\0" in again or b"\r" in again.replace(b"\r\n", b"")
    )  # fmt: skip
    expect(not ambiguous, f"it was sent on as it came: {again[:150]!r}")
    return "repaired"


for number, (name, text, may_repair) in enumerate(ROWS):
    add(
        f"strict-{name.lower().replace(' ', '-').replace(',', '').replace('/', '-')}", "strictness",
        f"Refused, or made unambiguous: {name}." if may_repair else f"Refused: {name}.",
        lambda stage, _, row=(name, text, may_repair, number): send(stage, *row), engines=("raw", "raw"), any_path=True,
    )  # fmt: skip
