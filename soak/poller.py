"""Clients that look at the pages for people and monitors while all the rest goes on."""

import asyncio
import json
import time

from clients import Client
from wire import Answer


class Poller(Client):
    async def run(self):
        while time.monotonic() < self.until:
            for path, check in (("/llmhealth-snapshot", self.snapshot), ("/metrics", self.metrics), ("/v1/models", json.loads)):
                answer = Answer()
                try:
                    async with asyncio.timeout(10):
                        connection = await self.connection(fresh=self.random.random() < 0.2)
                        await connection.send(f"GET {path} HTTP/1.1\r\nHost: soak.example\r\n\r\n".encode())
                        await connection.answer(answer)
                    if (answer.status, answer.ending) != (200, "whole"):
                        raise ValueError(f"status {answer.status}, {answer.ending}")
                    check(answer.body)
                    self.judge.held += 1
                    self.judge.outcomes["poll"]["whole"] += 1
                except (TimeoutError, ValueError, KeyError) as error:
                    self.judge.outcomes["poll"]["violation"] += 1
                    self.judge.violate("poll", f"{path}: {error!r} {bytes(answer.body[:200])!r}")
            await asyncio.sleep(self.random.uniform(0.2, 1))
        self.leave_kept()

    @staticmethod
    def snapshot(body):
        document = json.loads(body)
        for backend in document["backends"]:
            if not 0 <= backend["total_inflight"] <= 400:
                raise ValueError(f"in flight {backend['total_inflight']} at {backend['name']}")

    @staticmethod
    def metrics(body):
        for line in bytes(body).decode().splitlines():
            # An error has a sign: the first token may come sooner than predicted.
            has_sign = "_error_seconds" in line
            if not line.startswith("#") and not has_sign and float(line.rsplit(" ", 1)[1]) < 0:
                raise ValueError(line)
