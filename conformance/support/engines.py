"""The engines behind the proxy: our fake llama-server, and one in Python that sends exactly the bytes a check wants."""

import contextlib
import json
import signal
import socket
import struct
import threading
from dataclasses import dataclass, field

from support.client import MODEL, ask, parse_head
from support.process import Process, free_port
from support.waiting import eventually

PROBES = ("/", "/health", "/v1/health", "/v1/models", "/models", "/metrics", "/slots", "/props", "/llmhealth", "/version",
          "/api/version", "/api/tags", "/api/ps", "/api/v0/models", "/running",
          "/get_model_info", "/model_info", "/get_server_info", "/server_info", "/health_generate")  # fmt: skip


class FakeLlama:
    """`fake-llama`: behaves as llama-server does, and misbehaves when told so."""

    model = MODEL

    def __init__(self, binary, folder, number, arguments=()):
        self.port = free_port()
        self.number = number
        self.folder = folder
        self.command = [binary, "--port", self.port, "--slots", 1024, "--models", MODEL, *arguments]
        self.start()

    def start(self):
        """Also: again, on the same port."""
        self.process = Process(f"fake-{self.port}", self.command, self.folder)
        self.process.wait_until_listening(self.port)
        return self

    def behave(self, **changes):
        ask(self.port, "POST", "/fake/behaviour", body=json.dumps(changes).encode())

    def observed(self):
        return ask(self.port, "GET", "/fake/observations").json()

    def forget(self):
        ask(self.port, "DELETE", "/fake/observations")

    def saw(self, word):
        """Whether a request with that word in its target or body has arrived."""
        return any(word in r["target"] or word in r["body"] for r in self.observed()["requests"])

    # Clients of these checks send POST, probes GET or HEAD, on paths that nobody can list for ever.

    def asked(self):
        """How many requests of clients have arrived, of the last 200 requests."""
        return sum(is_asking(r) for r in self.observed()["requests"])

    def working(self):
        """How many of them run."""
        return sum(is_asking(r) and r["outcome"] == "in progress" for r in self.observed()["requests"])

    def cancellations(self):
        seen = self.observed()
        asking = {r["number"] for r in seen["requests"] if is_asking(r)}
        return [c for c in seen["cancellations"] if c["request"] in asking]

    def freeze(self):
        """Connections are accepted by the kernel and nothing ever comes back, as behind a cable that was pulled."""
        self.process.signal(signal.SIGSTOP)

    def kill(self):
        self.process.kill()

    end = kill


def is_asking(request):
    return request["method"] == "POST" and request["target"] != "/api/show"


@dataclass
class Request:
    line: str
    fields: list
    body: bytes
    raw: bytes

    @property
    def method(self):
        return self.line.split(" ")[0]

    @property
    def target(self):
        return self.line.split(" ")[1]

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]


@dataclass
class Peer:
    """One connection of the proxy to a raw engine."""

    socket: socket.socket
    buffer: bytes = b""
    received: bytes = b""  # everything that ever came
    closed: threading.Event = field(default_factory=threading.Event)

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the proxy")
        self.buffer += data
        self.received += data

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_until_closed(self):
        """Reads until the proxy closes."""
        with contextlib.suppress(ConnectionError):
            while True:
                self.fill()


class RawEngine:
    """An engine of sockets and threads. Probes are answered as by a healthy engine; everything else goes to `answer(request,
    peer)`, which sends what it likes. When it returns False the connection is closed.

    Its kind is `raw` (nothing tells what it is) or `vllm` (its model list says so); its model's name may follow: `vllm:NAME`."""

    def __init__(self, number=0, answer=None, kind="raw"):
        self.port = free_port()
        self.number = number
        owner, _, model = kind.partition(":")
        self.model = model or MODEL
        self.models = [{"id": self.model, "object": "model"} | ({} if owner == "raw" else {"owned_by": owner})]
        self.health = "200 OK"
        self.peers, self.requests = [], []
        self.lock = threading.Lock()
        self.answer = answer or answer_shortly
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = Peer(connection)
                self.peers.append(peer)
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            with peer.socket:
                while True:
                    request = read_request(peer)
                    if request.method in ("GET", "HEAD") and request.target.partition("?")[0] in PROBES:
                        peer.send(self.probe_answer(request.target))
                        continue
                    with self.lock:
                        self.requests.append(request)
                    if self.answer(request, peer) is False:
                        return
        except (OSError, ValueError, IndexError):
            pass
        finally:
            peer.closed.set()

    def forget(self):
        with self.lock:
            self.requests.clear()
            for peer in self.peers:
                peer.received = b""

    def behave(self, **_):
        self.answer, self.health = answer_shortly, "200 OK"

    def probe_answer(self, target):
        if target.startswith(("/v1/models", "/models")):
            return whole_answer(json.dumps({"object": "list", "data": self.models}).encode())
        if target.startswith("/health"):
            return whole_answer(b'{"status":"ok"}', status=self.health)
        return whole_answer(b'{"error":{"message":"not found"}}', status="404 Not Found")

    def asked(self):
        """How many requests of clients have arrived."""
        return sum(request.method == "POST" for request in list(self.requests))

    def saw(self, word):
        """Whether these bytes have come, on whatever connection and however mangled."""
        return any(word.encode() in peer.received for peer in list(self.peers))

    def request(self, word, within=5):
        """The request with that word in its bytes."""
        return eventually(
            f"the engine receives {word}", lambda: next((r for r in list(self.requests) if word.encode() in r.raw + r.body), None),
            within=within,
        )  # fmt: skip

    def end(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in list(self.peers):
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
            peer.socket.close()


def read_request(peer):
    while b"\r\n\r\n" not in peer.buffer:
        peer.fill()
    raw, _, peer.buffer = peer.buffer.partition(b"\r\n\r\n")
    line, fields = parse_head(raw)
    request = Request(line, fields, b"", raw)
    if request.all("Expect"):
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in "".join(request.all("Transfer-Encoding")):
        while size := int(read_line(peer).partition(b";")[0], 16):
            request.body += read_exactly(peer, size)
            read_line(peer)
        while read_line(peer):
            pass
    elif lengths := request.all("Content-Length"):
        request.body = read_exactly(peer, int(lengths[0]))
    return request


def read_line(peer):
    while b"\r\n" not in peer.buffer:
        peer.fill()
    line, _, peer.buffer = peer.buffer.partition(b"\r\n")
    return line


def read_exactly(peer, count):
    while len(peer.buffer) < count:
        peer.fill()
    part, peer.buffer = peer.buffer[:count], peer.buffer[count:]
    return part


def whole_answer(body, content_type="application/json", status="200 OK", more=""):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


CHAT_ANSWER = json.dumps({
    "id": "chatcmpl-raw", "object": "chat.completion", "created": 1, "model": MODEL,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Good day."}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}).encode()  # fmt: skip

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(text):
    """An event of OpenAI's API in a chunk of its own."""
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    document = {"id": "chatcmpl-raw", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices}
    return chunk(b"data: " + json.dumps(document).encode() + b"\n\n")


def chunk(data):
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


STREAM_END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def is_stream(request):
    with contextlib.suppress(ValueError):
        return bool(json.loads(request.body).get("stream"))
    return False


def answer_shortly(request, peer):
    if is_stream(request):
        peer.send(STREAM_HEAD + event("Good day.") + STREAM_END)
    else:
        peer.send(whole_answer(CHAT_ANSWER))
