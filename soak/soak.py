#!/usr/bin/env python3
"""Hundreds of mixed clients, three engines that die, freeze and misbehave, and a judge who lets no ending pass without a reason.

    python3 soak/soak.py --binary .build/release/llama-balancer --fake .build/release/fake-llama --minutes 10 --seed 1
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from clients import HANG, Client
from engines import Engine, free_port
from faults import Ledger, Player
from poller import Poller
from verdict import Judge
from watch import SPARE_DESCRIPTORS, BalancerProcess, access_log_problems, settled

CALM_AT_START, CALM_AT_END = 5, 15  # seconds without faults
POLLERS = 3
OUTPUT = Path(__file__).resolve().parent.parent / ".build-soak"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the llama-balancer to test")
    parser.add_argument("--fake", required=True, help="the fake-llama to put behind it")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the faults and of what clients do")
    parser.add_argument("--clients", type=int, default=300)
    return parser.parse_args()


class Soak:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.ledger = Ledger()
        self.judge = Judge(self.ledger)
        fake = options.fake
        self.engines = [
            Engine(fake, folder, "amber", "llama-server", slots=8, prefill=20_000, decode=300),
            Engine(fake, folder, "birch", "ollama", slots=16, prefill=8_000, decode=80),
            Engine(fake, folder, "cedar", "ollama", slots=6, prefill=12_000, decode=160),
        ]
        self.balancer = None
        self.checks = []  # (what, problem or None)

    def check(self, what, problem):
        self.checks.append((what, problem))
        print(f"{'FAILED' if problem else 'ok':7} {what}{f': {problem}' if problem else ''}", flush=True)

    async def run(self):
        await asyncio.gather(*(engine.start() for engine in self.engines))
        self.balancer = BalancerProcess(self.options.binary, self.folder, self.engines)
        await self.balancer.wait_until_up()
        descriptors = self.balancer.descriptors()
        await self.load()
        await self.look_over(descriptors)
        self.report()

    async def load(self):
        seconds, choose = self.options.minutes * 60, lambda: random.Random(rolls.random())
        rolls = random.Random(self.options.seed)
        self.ledger.zero = begin = self.balancer.began = time.monotonic()
        until, port = begin + seconds, self.balancer.port
        self.player = Player(self.engines, self.ledger, choose())
        clients = [Client(n, port, self.judge, choose(), until, large=n == 0) for n in range(self.options.clients)]
        clients += [Poller(f"poll{n}", port, self.judge, choose(), until) for n in range(POLLERS)]

        async def faults():
            await asyncio.sleep(CALM_AT_START)
            await self.player.play(until - CALM_AT_END)

        tasks = [asyncio.create_task(work) for work in (faults(), self.balancer.sample(until, self.progress))]
        tasks += [asyncio.create_task(client.run()) for client in clients]
        done, pending = await asyncio.wait(tasks, timeout=seconds + HANG + 10, return_when=asyncio.FIRST_EXCEPTION)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        self.balancer.must_run()
        for task in done:
            task.result()
        self.check("all clients are done", f"{len(pending)} are not" if pending else None)

    def progress(self, text):
        total = sum(outcomes.total() for outcomes in self.judge.outcomes.values())
        elapsed = time.monotonic() - self.ledger.zero
        print(f"{elapsed:5.0f} s: {total} judged, {len(self.judge.violations)} violations; {text}", flush=True)

    async def look_over(self, descriptors):
        balancer = self.balancer
        balancer.must_run()

        async def at_rest():
            snapshot = await balancer.snapshot()
            busy = {b["name"]: b["total_inflight"] for b in snapshot["backends"] if b["total_inflight"]}
            if busy or snapshot["waiting"]["count"] or snapshot["running"]:
                return f"in flight {busy}, waiting {snapshot['waiting']['count']}, running {snapshot['running']}"

        async def few_descriptors():
            now = balancer.descriptors()
            return None if now <= descriptors + SPARE_DESCRIPTORS else f"{now}, and {descriptors} before the load"

        self.check("nothing in flight, nobody waiting", await settled("snapshot", at_rest))
        for engine in self.engines:

            async def idle(engine=engine):
                busy = (await engine.observations())["concurrency"]
                return f"{busy} requests in progress" if busy else None

            self.check(f"engine {engine.name} is idle", await settled(engine.name, idle))
        self.check("descriptors are as before the load", await settled("descriptors", few_descriptors))
        self.check("memory does not grow", balancer.memory_problem())
        self.check("every fault could be played", "; ".join(self.player.problems) or None)
        self.retries = await balancer.metric("llama_balancer_retries_total")
        self.seconds = balancer.processor_seconds()
        status = balancer.stop()
        self.check("SIGTERM ends it with 0", None if status == 0 else status)
        problems, self.left_in_line = access_log_problems(balancer.access_log, self.judge)
        self.check("the access log has every request once", "; ".join(problems) or None)

    def report(self):
        judge = self.judge
        columns = sorted({outcome for outcomes in judge.outcomes.values() for outcome in outcomes})
        print("\nrequests by kind and outcome")
        for kind, outcomes in sorted(judge.outcomes.items()):
            print(f"  {kind:16} " + ", ".join(f"{outcomes[name]} {name}" for name in columns if outcomes[name]))
        all_ = sum(outcomes.total() for outcomes in judge.outcomes.values())
        print(f"  together {all_}, {all_ / (self.options.minutes * 60):.0f} a second; clients that left: {judge.left.total()}, "
              f"{self.left_in_line} of them from the line")  # fmt: skip
        print("  left " + ", ".join(f"{where} {count}" for where, count in sorted(judge.left.items())))
        print("faults: " + ", ".join(f"{fault} {count}" for fault, count in sorted(self.ledger.counts().items())))
        print(f"visible failures: {dict(Counter(judge.reasons))}; retries: {self.retries:.0f}")
        times = sorted(judge.first_bytes)
        if len(times) > 10:
            p50, p99 = statistics.median(times), times[len(times) * 99 // 100]
            print(f"streams in calm moments: {len(times)}, first byte after {p50 * 1000:.0f} ms (p50), {p99 * 1000:.0f} ms (p99)")
        print(f"memory: {self.balancer.memory_text()}; processor: {self.seconds:.0f} s")


def main():
    options = arguments()
    folder = OUTPUT / f"seed-{options.seed}-{free_port()}"
    folder.mkdir(parents=True)
    print(f"logs: {folder}")
    soak = Soak(options, folder)
    try:
        asyncio.run(soak.run())
    except (RuntimeError, OSError) as error:
        soak.check("the run went through", repr(error))
    finally:
        for process in (soak.balancer, *soak.engines):
            if process:
                process.end()
    failed = len(soak.judge.violations) + sum(bool(problem) for _, problem in soak.checks)
    passed = soak.judge.held + sum(not problem for _, problem in soak.checks)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
