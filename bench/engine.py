#!/usr/bin/env python3
"""An engine for what nginx cannot play: it reads whole bodies before it answers, and it streams.

A request whose body says `"stream":true` gets `--events` server-sent events, each a chunk and a write of its own, the first
with the head and then one every `--period-ms`. With `--groups 1` all streams tick together, as the slots of a real engine do
after each batch; with more, the streams are dealt out to so many groups, which tick in turn, evenly over the period. Any other
POST gets a short JSON answer once its body is complete.
`GET /count` tells how many events have been sent, `GET /v1/models` what a health probe asks for.

    engine.py PORT [--events 200] [--period-ms 4] [--groups 1]
"""

import argparse
import asyncio
import itertools
import json
import re

ANSWER_SIZE = 680
MODELS = {"object": "list", "data": [{"id": "bench-model", "object": "model", "owned_by": "bench"}]}
DELTA = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1, "model": "bench-model"}
DELTA["choices"] = [{"index": 0, "delta": {"content": " token"}, "finish_reason": None}]


def answer(body):
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def chunk(body):
    return b"%x\r\n" % len(body) + body + b"\r\n"


CHAT = answer(json.dumps({"object": "chat.completion", "choices": []}).encode().ljust(ANSWER_SIZE))
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = chunk(b"data: " + json.dumps(DELTA, separators=(",", ":")).encode() + b"\n\n")
STREAM_END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Connection(asyncio.BufferedProtocol):
    groups = [{}]  # of open streams: transport -> events still to send
    next_group = itertools.cycle(groups)
    buffer = bytearray(256 * 1024)  # one for all: what is read is used up before the next read
    sent = 0
    events = 200

    def connection_made(self, transport):
        self.transport = transport
        self.head = b""
        self.body_left = 0
        self.streaming = False
        self.group = None

    def connection_lost(self, _):
        if self.group is not None:
            self.group.pop(self.transport, None)

    def get_buffer(self, _):
        return self.buffer

    def buffer_updated(self, count):
        """Bodies are counted, not kept; requests come one at a time, as proxies and wrk send them."""
        if self.body_left == 0:
            self.head += self.buffer[:count]
            if b"\r\n\r\n" not in self.head:
                return
            head, _, body = self.head.partition(b"\r\n\r\n")
            self.head = b""
            self.method_and_path = head.split(b" ", 2)[:2]
            length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
            self.body_left = int(length[1]) if length else 0
            self.streaming = b'"stream":true' in body
            count = len(body)
        self.streaming = self.streaming or (self.body_left < 4096 and b'"stream":true' in self.buffer[:count])
        self.body_left -= count
        if self.body_left == 0:
            self.respond()

    def respond(self):
        if self.method_and_path == [b"GET", b"/count"]:
            self.transport.write(answer(str(Connection.sent).encode()))
        elif self.method_and_path == [b"GET", b"/v1/models"]:
            self.transport.write(answer(json.dumps(MODELS).encode()))
        elif self.streaming:
            self.transport.write(STREAM_HEAD + EVENT)  # an engine has nothing to say before its first token
            Connection.sent += 1
            self.group = next(Connection.next_group)
            self.group[self.transport] = Connection.events - 1
        else:
            self.transport.write(CHAT)


async def tick_for_ever(period):
    """One event to every open stream of a group, then wait for the next group's turn."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for group in itertools.cycle(Connection.groups):
        for transport, left in list(group.items()):
            transport.write(EVENT)
            Connection.sent += 1
            group[transport] = left - 1
            if left == 1:
                del group[transport]
                transport.write(STREAM_END)
        due = max(due + period / len(Connection.groups), loop.time())  # a late turn is not made up for by a burst
        await asyncio.sleep(due - loop.time())


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--period-ms", type=float, default=4)
    parser.add_argument("--groups", type=int, default=1)
    arguments = parser.parse_args()
    Connection.events = arguments.events
    Connection.groups = [{} for _ in range(arguments.groups)]
    Connection.next_group = itertools.cycle(Connection.groups)
    await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", arguments.port, backlog=4096)
    await tick_for_ever(arguments.period_ms / 1000)


if __name__ == "__main__":
    asyncio.run(main())
