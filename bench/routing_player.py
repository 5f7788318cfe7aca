"""Plays requests in scaled time and notes what became of each: the only clock of a workload is the player's."""

import asyncio
import json
import re
import time

from programs import CHAT_PATH

MODEL = "fleet-model"
LAG_INTERVAL = 0.01  # real seconds between two looks at how late this program is
TEXT = re.compile(rb'"content": ?"[^"]')
FORECAST = re.compile(rb"\r\nX-Balancer-Cache: [a-z]+; tokens=(\d+)\r\n")
SERVER = re.compile(rb"\r\nX-Balancer-Server: ([^\r]+)\r\n")
LAST_CHUNK = b"\r\n0\r\n\r\n"


class Call(asyncio.Protocol):
    """One request on a connection of its own; bytes are only collected, and read when the answer is complete."""

    def __init__(self, request):
        self.request = request
        self.ended = asyncio.get_running_loop().create_future()
        self.received = bytearray()
        self.first_text_at = None
        self.body_at = None  # where the body begins; None before the whole head is there
        self.length = None

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        looked_at = max(0, len(self.received) - 20)  # what we look for may come in two pieces
        self.received += data
        if self.first_text_at is None and TEXT.search(self.received, looked_at):
            self.first_text_at = time.monotonic()
        if self.body_at is None:
            self.read_head()
        if self.body_at is not None and self.is_complete():
            self.end()

    def connection_lost(self, _):
        self.end()

    def end(self):
        if not self.ended.done():
            self.ended.set_result(time.monotonic())
            self.transport.close()

    def read_head(self):
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        self.body_at = end + 4
        if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", self.received[:end]):
            self.length = int(length[1])

    def is_complete(self):
        if self.length is not None:
            return len(self.received) >= self.body_at + self.length
        return self.received.endswith(LAST_CHUNK)

    @property
    def status(self):
        return int(self.received[9:12]) if self.body_at else 0

    def body(self):
        body = bytes(self.received[self.body_at :])
        if self.length is not None:
            return body
        pieces = []
        while body:
            size, _, rest = body.partition(b"\r\n")
            size = int(size or b"0", 16)
            pieces.append(rest[:size])
            body = rest[size + 2 :] if size else b""
        return b"".join(pieces)

    def events(self):
        """The JSON documents of the answer, of a stream or not."""
        body = self.body()
        if body.startswith(b"{"):
            return [json.loads(body)]
        lines = (line[5:].strip() for line in body.split(b"\n") if line.startswith(b"data:"))
        return [json.loads(line) for line in lines if line.startswith(b"{")]


class Player:
    """Sends chats to a port; times are virtual seconds since `start`."""

    def __init__(self, port, scale, until):
        self.port, self.scale, self.until = port, scale, until
        self.records, self.open_records, self.lags = [], set(), []

    def start(self):
        self.zero = time.monotonic()
        self.meter = asyncio.create_task(self.measure_lag())

    def at(self, moment):
        return (moment - self.zero) * self.scale

    def now(self):
        return self.at(time.monotonic())

    def goes_on(self):
        return self.now() < self.until

    async def sleep(self, seconds):
        await asyncio.sleep(seconds / self.scale)

    async def sleep_until(self, moment):
        await asyncio.sleep(max(0, moment - self.now()) / self.scale)

    async def measure_lag(self):
        while True:
            before = time.monotonic()
            await asyncio.sleep(LAG_INTERVAL)
            self.lags.append(time.monotonic() - before - LAG_INTERVAL)

    async def chat(self, kind, address, messages, tokens, session=None, conversation=None, since=None, stream=True):
        """The answer's text, or None after a failure. `messages` are JSON already; `since` is when the client first asked."""
        record = Record(kind, conversation, self.now() if since is None else since)
        self.open_records.add(record)
        options = b',"stream":true,"stream_options":{"include_usage":true}' if stream else b""
        body = b'{"model":"%s","messages":[%s],"max_tokens":%d%s}' % (MODEL.encode(), b",".join(messages), tokens, options)
        named = f"X-Session-Id: {session}\r\n" if session else ""
        head = (
            f"POST {CHAT_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"User-Agent: bench-routing\r\n{named}Content-Length: {len(body)}\r\n\r\n"
        )
        loop, call = asyncio.get_running_loop(), None
        try:
            _, call = await loop.create_connection(
                lambda: Call(head.encode() + body), "127.0.0.1", self.port, local_addr=(address, 0)
            )
            record.call = call
            ended_at = await call.ended
        except OSError as error:
            record.problem = str(error)
        except asyncio.CancelledError:
            if call:
                call.transport.abort()
            raise
        else:
            record.read(call, self, ended_at)
        self.open_records.discard(record)
        self.records.append(record)
        return record.text


class Record:
    """What became of a request. Times are virtual seconds. `forecast`: tokens that llama-balancer expected in the cache."""

    def __init__(self, kind, conversation, began):
        self.kind, self.conversation, self.began = kind, conversation, began
        self.call = self.text = self.problem = self.server = self.forecast = None
        self.status = self.first = self.total = self.prompt = self.cached = self.tokens = 0

    def read(self, call, player, ended_at):
        self.status = call.status
        if self.status != 200 or call.first_text_at is None or not call.is_complete():
            self.problem = f"status {self.status}: " + bytes(call.received[-200:]).decode(errors="replace")
            return
        self.first = player.at(call.first_text_at) - self.began
        self.total = player.at(ended_at) - self.began
        if forecast := FORECAST.search(call.received, 0, call.body_at):
            self.forecast = int(forecast[1])
        if server := SERVER.search(call.received, 0, call.body_at):
            self.server = server[1].decode()
        pieces = []
        for event in call.events():
            self.server = self.server or event.get("system_fingerprint")
            if usage := event.get("usage"):
                self.prompt, self.tokens = usage["prompt_tokens"], usage["completion_tokens"]
                self.cached = usage["prompt_tokens_details"]["cached_tokens"]
            if timings := event.get("timings"):
                self.cached, self.prompt = timings["cache_n"], timings["cache_n"] + timings["prompt_n"]
            for choice in event.get("choices") or []:
                pieces.append((choice.get("delta") or choice.get("message") or {}).get("content") or "")
        self.text = "".join(pieces)
        call.received.clear()
