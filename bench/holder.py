#!/usr/bin/env python3
"""Holds many streams open at once: the load of the case `idle-streams`.

It opens STREAMS connections, a few at a time, and asks for one stream on each. From then on every line on standard input is
answered by one line of JSON: how many streams are open, and how many events have come in all. The end of the input ends it.

    holder.py PORT STREAMS BODY-FILE
"""

import asyncio
import json
import sys
from pathlib import Path

AT_ONCE = 128  # connections that wait for the head of their answer
PATIENCE = 60  # seconds; streams that have not opened by then stay out


class Stream(asyncio.Protocol):
    request = b""
    opened = events = 0

    def __init__(self):
        self.is_open = False
        self.head_received = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(Stream.request)

    def data_received(self, data):
        Stream.events += data.count(b"data: ")
        if self.is_open:
            return
        if not data.startswith(b"HTTP/1.1 200"):
            return self.transport.close()
        self.is_open = True
        Stream.opened += 1
        self.head_received.set_result(None)

    def connection_lost(self, _):
        Stream.opened -= self.is_open
        if not self.head_received.done():
            self.head_received.set_result(None)


async def open_streams(port, numbers, loop):
    for _ in numbers:  # shared by all that open streams: each takes the next one
        try:
            _, stream = await loop.create_connection(Stream, "127.0.0.1", port)
            await stream.head_received
        except OSError:
            continue


async def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    body = Path(sys.argv[3]).read_bytes()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    Stream.request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    loop = asyncio.get_running_loop()
    numbers = iter(range(count))
    openers = [asyncio.create_task(open_streams(port, numbers, loop)) for _ in range(AT_ONCE)]
    await asyncio.wait(openers, timeout=PATIENCE)
    ended = loop.create_future()

    def answer():
        if sys.stdin.readline():
            print(json.dumps({"open": Stream.opened, "events": Stream.events}), flush=True)
        else:
            ended.set_result(None)

    loop.add_reader(sys.stdin.fileno(), answer)
    await ended


if __name__ == "__main__":
    asyncio.run(main())
