"""What must be refused with 400, before any engine sees it."""

CHAT_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: soak.example\r\nContent-Type: application/json\r\n"
MALFORMED_HTTP = {
    "bare line feeds": CHAT_HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}",
    "two lengths": CHAT_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": CHAT_HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a space before the colon": CHAT_HEAD + b"Content-Length : 2\r\n\r\n{}",
    "a folded line": CHAT_HEAD + b"X-Folded: one\r\n  two\r\nContent-Length: 2\r\n\r\n{}",
    "no request line": b"\x16\x03\x01\x02 hello\r\nHost: soak.example\r\n\r\n",
    "a chunk size that is none": CHAT_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a negative length": CHAT_HEAD + b"Content-Length: -2\r\n\r\n{}",
}
MALFORMED_JSON = [
    b'{"model":"soak-aa","messages":[}', b'{"model":"soak-aa"', b"[1,2", b'{"model":"soak-aa",}', b'{"model":"\xff"}', b"hello",
]  # fmt: skip
