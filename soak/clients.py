"""The clients: what they ask, how they behave, in a closed loop with time to think."""

import asyncio
import itertools
import time

from forms import BIG_ANSWER, asked, payload
from malformed import MALFORMED_HTTP, MALFORMED_JSON
from verdict import Ending
from wire import Answer, Connection, Ended, Malformed

HANG = 75.0  # seconds; the longest that anything here may take, waiting in the line included
PATIENCE = 10.0  # seconds; who wants to leave in the stream has then waited long enough for it
THINK = 2.2  # seconds on average between two requests of a client
MEGABYTE = b"x" * 1_000_000
LARGE = b"y" * 40_000_000

HARMLESS = ["split-events", "slow-headers=200", "chunk-extensions", "informational=103", "informational=100", "content-length"]
HARMFUL = [
    "reset-after-events=3", "close-after-events=3", "stall-after-events=2", "reset-after-headers", "wrong-length",
    "malformed-head=bare-lf", "malformed-head=status-line", "two-lengths", "close-before-answer",
]  # fmt: skip
LEAVES = ["in the head", "in the body", "at once", "soon", "in time", "in time", "in the stream", "in the stream"]


class Client:
    def __init__(self, number, port, judge, random, until, large=False):
        self.name, self.port, self.judge, self.random, self.until = f"c{number}", port, judge, random, until
        self.count = 0
        self.kept = None
        self.large = large
        self.shares = SHARES if not large else [(Client.large_upload, 1)]

    async def run(self):
        await asyncio.sleep(self.random.uniform(0, 4))
        while time.monotonic() < self.until:
            (play,) = self.random.choices([play for play, _ in self.shares], [share for _, share in self.shares])
            try:
                async with asyncio.timeout(HANG + 5):
                    await play(self)
            except TimeoutError:
                self.judge.violate(play.__name__, f"client {self.name} was not done after {HANG + 5} s")
            pause = self.random.expovariate(1 / (12 if self.large else THINK))
            await asyncio.sleep(max(0, min(pause, self.until - time.monotonic())))
        self.leave_kept()

    # Connections

    def leave_kept(self):
        if self.kept:
            self.kept.close()
        self.kept = None

    async def connection(self, fresh=False, **options):
        """The kept connection, unless a new one is wanted. Between two requests nothing may have happened on it."""
        if self.kept and self.kept.is_open:
            if surprise := self.kept.surprise():
                self.judge.violate("kept connection", f"{surprise} (client {self.name}, request {self.count})")
                self.leave_kept()
        if fresh or options or not (self.kept and self.kept.is_open):
            self.leave_kept()
            self.kept = await Connection(self.port, **options).connect()
        return self.kept

    def ask(self, kind, form, **more):
        self.count += 1
        return asked(kind, form, self.count, self.name, self.random, **more)

    async def exchange(self, request, connection, version="1.1", close=False):
        """Sends and reads; whatever happens becomes an ending that is judged."""
        begin, answer, remark = time.monotonic(), Answer(), ""
        try:
            async with asyncio.timeout(HANG):
                await connection.send(*payload(request, version, close))
                await connection.answer(answer)
        except TimeoutError:
            remark = f"a hang: no end after {HANG} s"
            connection.close(hard=True)
        self.judge.take(Ending(request, answer, begin, remark=remark))

    # What they do

    async def usual(self, form):
        close = self.random.random() < 0.2
        connection = await self.connection(fresh=self.random.random() < 0.3)
        await self.exchange(self.ask(form, form), connection, close=close)

    async def chat_stream(self):
        await self.usual("chat-stream")

    async def chat(self):
        await self.usual("chat")

    async def messages(self):
        await self.usual("messages-stream")

    async def ollama(self):
        await self.usual("ollama-stream")

    async def embeddings(self):
        await self.usual("embeddings")

    async def old(self):
        form = self.random.choice(["chat-stream", "chat", "messages-stream", "embeddings"])
        await self.exchange(self.ask("HTTP/1.0", form), await self.connection(fresh=True), version="1.0")

    async def pipelined(self):
        """Two requests in one write; the answers come in their order."""
        forms = [self.random.choice(["chat", "embeddings", "chat-stream"]) for _ in range(2)]
        requests = [self.ask("pipelined", form) for form in forms]
        connection = await self.connection(fresh=self.random.random() < 0.5)
        begin = time.monotonic()
        await connection.send(b"".join(piece for request in requests for piece in payload(request)))
        for request in requests:
            answer, remark = Answer(), ""
            try:
                async with asyncio.timeout(HANG):
                    await connection.answer(answer)
            except TimeoutError:
                remark = f"a hang: no end after {HANG} s"
                connection.close(hard=True)
            self.judge.take(Ending(request, answer, begin, remark=remark))
            if not connection.is_open:
                break  # the first one's end was the connection's, and told so: nothing is owed to the second
        for request in requests[requests.index(request) + 1 :]:
            self.judge.leave(request.id, "pipelined behind a failure")

    async def upload(self):
        form = self.random.choice(["chat", "chat-stream", "embeddings"])
        await self.exchange(self.ask("1 MB upload", form, padding=MEGABYTE), await self.connection())

    async def large_upload(self):
        form = self.random.choice(["chat", "chat-stream"])
        await self.exchange(self.ask("40 MB upload", form, padding=LARGE), await self.connection())

    async def slow_reader(self):
        """A stream by the drop, or more than the sockets hold; some pause for longer than `between-bytes`: no server's fault."""
        connection = await self.connection(fresh=True, receive_buffer=131_072)
        if self.random.random() < 0.6:
            connection.pace = itertools.repeat((0.1, 2048))
            request = self.ask("slow reader", "chat-stream", tokens=300)
        else:
            pause = self.random.choice((0.5, 11.0))
            connection.pace = itertools.chain([(0.0, 65_536)] * 4, [(pause, 65_536)], itertools.repeat((0.02, 131_072)))
            request = self.ask("slow reader", "big-answer", fault=f"big-answer={BIG_ANSWER}")
        await self.exchange(request, connection)
        self.leave_kept()

    async def odd_engine(self):
        form = self.random.choice(["chat-stream", "chat", "messages-stream"])
        request = self.ask("odd engine", form, fault=self.random.choice(HARMLESS))
        await self.exchange(request, await self.connection())

    async def poison(self):
        form = self.random.choice(["chat-stream", "messages-stream"])
        request = self.ask("broken answer", form, tokens=20, fault=self.random.choice(HARMFUL), must="fail")
        await self.exchange(request, await self.connection())

    async def malformed_http(self):
        name = self.random.choice(list(MALFORMED_HTTP))
        request = self.ask("malformed HTTP", "chat", must="refused")
        request.id, request.model = "", name
        connection = await self.connection(fresh=True)
        begin, answer, remark = time.monotonic(), Answer(), ""
        try:
            async with asyncio.timeout(HANG):
                await connection.send(MALFORMED_HTTP[name])
                await connection.answer(answer)
        except TimeoutError:
            remark = "a hang"
        if connection.is_open:
            remark = remark or "the connection stays open after malformed HTTP"
        self.leave_kept()
        self.judge.take(Ending(request, answer, begin, remark=remark))

    async def malformed_json(self):
        form = self.random.choice(["chat", "messages-stream", "ollama-stream"])
        request = self.ask("malformed JSON", form, must="refused")
        request.body = self.random.choice(MALFORMED_JSON)
        await self.exchange(request, await self.connection())

    async def leaver(self):
        """Leaves without a word; not judged, but nothing of it may stay behind."""
        where = self.random.choice(LEAVES)
        form = self.random.choice(["chat-stream", "chat", "messages-stream", "ollama-stream"])
        more = {"padding": MEGABYTE} if where == "in the body" else {"tokens": 200, "prompt_bytes": 8000}
        request = self.ask("leaver", form, **more)
        hard = self.random.random() < 0.5
        connection = await self.connection(fresh=True)
        pieces = payload(request)
        answer = Answer()
        try:
            async with asyncio.timeout(PATIENCE):
                if where == "in the head":
                    await connection.send(pieces[0][: self.random.randrange(1, 60)])
                elif where == "in the body":
                    await connection.send(pieces[0], pieces[1][: self.random.randrange(1, 900_000)])
                else:
                    await connection.send(*pieces)
                    await self.wait_to_leave(where, connection, answer)
        except (TimeoutError, Ended, Malformed):
            pass
        self.judge.leave(request.id, f"{where}, {'RST' if hard else 'FIN'}")
        connection.close(hard)

    async def wait_to_leave(self, where, connection, answer):
        if where == "in the stream":
            enough = self.random.randrange(1, 8000)
            await connection.head(answer)
            while len(connection.buffer) < enough and await connection.more():
                pass
        elif where != "at once":
            async with asyncio.timeout(self.random.uniform(0, 0.2 if where == "soon" else 4)):
                await connection.more()


SHARES = [
    (Client.chat_stream, 22), (Client.chat, 16), (Client.messages, 12), (Client.ollama, 10), (Client.embeddings, 12),
    (Client.old, 4), (Client.pipelined, 4), (Client.upload, 2), (Client.slow_reader, 2), (Client.odd_engine, 3),
    (Client.poison, 1), (Client.malformed_http, 1.5), (Client.malformed_json, 1.5), (Client.leaver, 9),
]  # fmt: skip
