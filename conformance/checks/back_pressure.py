"""Whoever is slow slows only its own stream, and costs a bounded piece of memory."""

import contextlib
import threading
import time

from suite import check
from support.client import CHAT, Connection, chat, chat_body, request_bytes, somebody
from support.waiting import eventually, expect, holds_for

BIG = 200_000_000


class Memory:
    """How much a process has grown while something was going on."""

    def __init__(self, process):
        self.process = process
        self.before = self.most = process.resident_mb()

    def look(self):
        self.most = max(self.most, self.process.resident_mb())
        return self.most - self.before


@check("slow-reader", "back-pressure", alone=True, needs="passes_fields")
def slow_reader(stage, _):
    """A client that stops reading a 200 MB answer costs less than 20 MB, delays nobody, and gets every byte once it reads on."""
    memory = Memory(stage.process)
    with Connection(stage.port, timeout=60, receive_buffer=65536) as client:
        client.ask("POST", CHAT, [*somebody(), ("X-Fake-Fault", f"big-answer={BIG}")], chat_body())
        answer = client.read_head()
        holds_for(2, "bounded memory", lambda: memory.look() < 20)
        begun = time.monotonic()
        expect(chat(stage.port).status == 200, "another client is not answered")
        expect(time.monotonic() - begun < 1, "another client waits for more than a second")
        count = sum(len(part) for _, part in client.pieces(answer))
    expect(answer.clean and count == BIG, f"{count} bytes of {BIG}, clean end: {answer.clean}")
    expect(memory.look() < 20, f"it has grown by {memory.look():.0f} MB")
    return f"{memory.look():.1f} MB"


@check("slow-upload", "back-pressure", alone=True)
def slow_upload(stage, _):
    """A 64 MB upload to an engine that reads slowly arrives whole and costs less than 48 MB."""
    memory = Memory(stage.process)
    head, tail = b'{"model":"fake-model","messages":[{"role":"user","content":"', b'"}],"max_tokens":2}'
    body = head + b"x" * ((64 << 20) - len(head) - len(tail)) + tail
    for engine in stage.engines:
        engine.behave(fault="read-slow=16000000")
    with Connection(stage.port, timeout=60) as client:
        done = threading.Event()
        threading.Thread(target=lambda: (client.send(request_bytes("POST", CHAT, somebody(), body)), done.set()), daemon=True).start()
        while not done.wait(0.05):
            expect(memory.look() < 48, f"it has grown by {memory.look():.0f} MB")
        answer = client.read_answer()
    lengths = [r["body_length"] for engine in stage.engines for r in engine.observed()["requests"] if r["target"] == CHAT]
    # Whoever encodes it anew may make it longer; that is another promise.
    whole = len(lengths) == 1 and lengths[0] >= len(body) - 100
    expect(answer.status == 200 and whole, f"{answer}; arrived: {lengths}")
    return f"{memory.look():.1f} MB"


@check("unread-pipeline", "back-pressure", alone=True, spoils=True)
def unread_pipeline(stage, _):
    """60,000 requests sent ahead on one connection, whose answers nobody reads, cost less than 10 MB and delay nobody; once they
    are read, they all come."""
    target = stage.proxy.own_page or "/v1/models"
    one = request_bytes("GET", target)
    memory = Memory(stage.process)
    with Connection(stage.port, timeout=60, receive_buffer=65536) as client:
        rest = memoryview(one * 60_000)
        client.socket.settimeout(1)
        with contextlib.suppress(TimeoutError):  # it takes no more: as it should
            while rest:
                rest = rest[client.socket.send(rest[:65536]) :]
                expect(memory.look() < 10, f"it has grown by {memory.look():.0f} MB")
        holds_for(1, "bounded memory", lambda: memory.look() < 10)
        expect(seconds_of_a_chat(stage.port) < 1, "another client waits for more than a second")
        client.socket.settimeout(60)
        sent = (60_000 * len(one) - len(rest)) // len(one)
        for number in range(min(sent, 500)):
            expect((answer := client.read_answer()).status == 200 and answer.clean, f"answer {number} of {sent}: {answer}")
    return f"{memory.most - memory.before:.1f} MB, {sent} requests taken"


def seconds_of_a_chat(port):
    begun = time.monotonic()
    expect(chat(port).status == 200, "another client is not answered")
    return time.monotonic() - begun


@check("thousand-slow-readers", "back-pressure", alone=True, heavy=True, needs="passes_fields")
def thousand_slow_readers(stage, _):
    """1,000 clients at once that read 100 KB/s of 200 MB each cost less than 400 MB, and make others wait less than a second longer."""
    memory = Memory(stage.process)
    clients = []
    try:
        for number in range(1000):
            client = Connection(stage.port, timeout=60, receive_buffer=65536)
            clients.append(client)
            fields = [*somebody(), ("X-Fake-Fault", f"big-answer={BIG}")]
            client.ask("POST", CHAT, fields, chat_body())
        deadline, slowest = time.monotonic() + 20, 0.0
        while time.monotonic() < deadline:
            round_begun = time.monotonic()
            for client in clients:
                client.socket.setblocking(False)
                try:
                    client.socket.recv(100_000)
                except BlockingIOError:
                    pass
            # The engines are busy themselves: what counts is what the proxy adds.
            direct = max(seconds_of_a_chat(engine.port) for engine in stage.engines)
            slowest = max(slowest, seconds_of_a_chat(stage.port) - direct)
            memory.look()
            eventually("a second is over", lambda: time.monotonic() - round_begun, lambda passed: passed >= 1, within=30, every=0.05)
    finally:
        for client in clients:
            client.leave(abruptly=True)
    expect(memory.look() < 400, f"it has grown by {memory.look():.0f} MB")
    expect(slowest < 1, f"another client waited {slowest:.1f} s longer than at the engines themselves")
    return f"{memory.most - memory.before:.0f} MB for 1,000; others waited at most {slowest * 1000:.0f} ms longer"
