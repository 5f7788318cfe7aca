"""What goes wrong, and when: a seeded player, and a ledger that tells afterwards which failure has a reason."""

import asyncio
import signal
import time
from collections import Counter
from dataclasses import dataclass

GRACE = 5.0  # seconds after a fault in which a request that began then may still fail because of it


@dataclass
class Entry:
    engine: str
    fault: str
    begin: float
    end: float | None = None

    def touches(self, begin, end, grace):
        return self.begin <= end and (self.end is None or begin <= self.end + grace)


class Ledger:
    def __init__(self):
        self.entries = []
        self.zero = time.monotonic()

    def open(self, engine, fault):
        entry = Entry(engine, fault, time.monotonic())
        self.entries.append(entry)
        return entry

    def during(self, begin, end, grace=GRACE, engine=None):
        return [e for e in self.entries if e.touches(begin, end, grace) and engine in (None, e.engine)]

    def is_calm(self, begin, end):
        return not self.during(begin, end, grace=10)

    def counts(self):
        return Counter(entry.fault.split("=")[0] if "fail-rate" in entry.fault else entry.fault for entry in self.entries)

    def text(self, entries):
        def at(moment):
            return "…" if moment is None else f"{moment - self.zero:.1f}"

        return ", ".join(f"{e.engine} {e.fault} {at(e.begin)}–{at(e.end)} s" for e in entries) or "none"


class Player:
    """Picks engines and faults. One engine at least is spared, but for short outages of all three."""

    # fault, shortest and longest duration in seconds
    FAULTS = [
        ("kill", 1, 6), ("kill", 1, 6), ("stop", 1, 9), ("stop", 1, 9),
        ("stall-after-events=3", 2, 6), ("stall-before-answer", 2, 5),
        ("reset-after-events=4", 2, 6), ("reset-after-headers", 2, 5),
        ("close-after-events=5", 2, 6), ("status=503", 2, 8), ("fail-rate=0.3:reset-before-answer", 3, 10),
        ("fail-rate=0.3:status=502", 3, 8), ("refuse", 1, 8), ("accept-never", 1, 6), ("close-before-answer", 2, 5),
    ]  # fmt: skip
    OUTAGE = ["kill", "status=503", "refuse", "stop"]
    OUTAGE_SHARE = 0.05
    OUTAGE_SECONDS = 3

    def __init__(self, engines, ledger, random):
        self.engines, self.ledger, self.random = engines, ledger, random
        self.bad = set()  # names of engines with a fault, or just out of one
        self.is_outage = False
        self.problems = []

    async def play(self, until):
        """Two hands, each with one fault at a time, until the given moment."""
        await asyncio.gather(self.hand(until, 0.5), self.hand(until, 6))

    async def hand(self, until, delay):
        await asyncio.sleep(delay)
        while (left := until - time.monotonic()) > 2:
            if not self.bad and not self.is_outage and self.random.random() < self.OUTAGE_SHARE:
                await self.outage()
            else:
                fault, shortest, longest = self.random.choice(self.FAULTS)
                choice = [engine for engine in self.engines if engine.name not in self.bad]
                if len(choice) > 1 and not self.is_outage:
                    await self.inflict(self.random.choice(choice), fault, min(left - 1, self.random.uniform(shortest, longest)))
            await asyncio.sleep(min(self.random.expovariate(1 / 3) + 0.3, max(0, until - time.monotonic())))

    async def outage(self):
        self.is_outage = True
        fault = self.random.choice(self.OUTAGE)
        await asyncio.gather(*(self.inflict(engine, fault, self.OUTAGE_SECONDS) for engine in self.engines))
        self.is_outage = False

    async def inflict(self, engine, fault, seconds):
        self.bad.add(engine.name)
        entry = self.ledger.open(engine.name, fault)
        try:
            if fault == "kill":
                engine.kill()
                await asyncio.sleep(seconds)
                await engine.start()
            elif fault == "stop":
                engine.signal(signal.SIGSTOP)
                await asyncio.sleep(seconds)
                engine.signal(signal.SIGCONT)
            else:
                await engine.behave(fault, int(seconds * 1000))
                await asyncio.sleep(seconds + 0.1)
        except (OSError, RuntimeError, TimeoutError) as error:
            self.problems.append(f"the fault player could not do {fault} to {engine.name}: {error!r}")
        entry.end = time.monotonic()
        await asyncio.sleep(1.5)  # known to be up again, before another one may go
        self.bad.discard(engine.name)
