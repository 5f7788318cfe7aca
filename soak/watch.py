"""The balancer as a process: started, measured every second, and looked over at the end."""

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import time
from collections import Counter

from engines import SOAK, call, free_port

GROWTH = 20  # MB that the last third may have over the middle third
SPARE_DESCRIPTORS = 8
SETTLING = 20  # seconds


def configuration(engines, port, access_log):
    servers = {engine.name: {"url": f"http://127.0.0.1:{engine.port}"} for engine in engines}
    for engine in engines:
        if engine.kind != "llama-server":  # llama-server tells its slots
            servers[engine.name]["request-max"] = engine.slots
    return {
        "listen": {"host": "127.0.0.1", "port": port},
        "servers": servers,
        "models": {
            "soak-.*": [engine.name for engine in engines],
            "pond-.*": [engine.name for engine in engines if engine.kind == "ollama"],
        },
        "queue": {"max-waiting": 1000},  # all clients fit: 429 would be wrong
        "keep-alive-comments": "2s",
        # They bound how long an engine may answer its probes and stall at its work.
        "timeouts": {"first-byte": "12s", "between-bytes": "8s"},
        "access-log": str(access_log),
    }


class BalancerProcess:
    def __init__(self, binary, folder, engines):
        self.port, self.folder, self.engines = free_port(), folder, engines
        self.access_log = folder / "access.jsonl"
        file = folder / "server-list.json"
        file.write_text(json.dumps(configuration(engines, self.port, self.access_log), indent=2))
        self.log = open(folder / "balancer.log", "wb")
        command = [binary, "serve", "--config", str(file)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.samples = []  # (seconds, RSS in MB)
        self.began = time.monotonic()

    @property
    def pid(self):
        return self.process.pid

    def must_run(self):
        if self.process.poll() is not None:
            tail = (self.folder / "balancer.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the balancer ended with {self.process.returncode}; its log:\n{tail}")

    async def snapshot(self):
        return json.loads((await call(self.port, "GET", "/llmhealth-snapshot", within=10)).body)

    async def wait_until_up(self):
        for _ in range(500):
            self.must_run()
            try:
                backends = (await self.snapshot())["backends"]
                known = {backend["name"]: set(backend["models"]) for backend in backends if backend["state"] == "up"}
                if len(known) == len(self.engines) and all(set(SOAK) <= models for models in known.values()):
                    return
            except OSError:
                pass
            await asyncio.sleep(0.05)
        raise RuntimeError("the balancer does not see its servers")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6

    def processor_seconds(self):
        with open(f"/proc/{self.pid}/stat") as file:
            words = file.read().rsplit(") ", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    async def sample(self, until, progress):
        """Every second, until a moment."""
        while (now := time.monotonic()) < until:
            self.must_run()
            self.samples.append((now - self.began, self.memory()))
            if len(self.samples) % 30 == 0:
                progress(f"{self.samples[-1][1]:.0f} MB, {self.descriptors()} descriptors")
            await asyncio.sleep(1)

    def memory_text(self):
        values = [value for _, value in self.samples]
        places = {f"{share} %": values[min(len(values) - 1, len(values) * share // 100)] for share in (10, 50, 100)}
        return ", ".join(f"{value:.0f} MB at {place}" for place, value in places.items()) + f", peak {max(values):.0f} MB"

    def memory_problem(self):
        values, third = [value for _, value in self.samples], len(self.samples) // 3
        middle, last = statistics.median(values[third : 2 * third]), statistics.median(values[2 * third :])
        return f"{middle:.0f} MB in the middle third, {last:.0f} MB in the last" if last - middle > GROWTH else None

    async def metric(self, name):
        text = bytes((await call(self.port, "GET", "/metrics")).body).decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def stop(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            return "still running after 10 s"

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.log.close()


async def settled(what, probe, within=SETTLING):
    """Waits until `probe` returns None; else its last complaint."""
    deadline = time.monotonic() + within
    while True:
        try:
            problem = await probe()
        except (OSError, TimeoutError, ValueError) as error:
            problem = repr(error)
        if problem is None or time.monotonic() > deadline:
            return problem and f"{what}: {problem}, {within} s after the load"
        await asyncio.sleep(0.2)


def access_log_problems(path, judge):
    """Every judged request exactly once, with the status its client saw; those who left at most once."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    counts = Counter(line["id"] for line in lines)
    status = {line["id"]: line["status"] for line in lines}
    asked = {id: seen for id, seen in judge.judged.items() if id}
    problems = {
        "requests that are missing": [id for id in asked if id not in counts],
        "ids that are there more than once": [f"{id} {count} times" for id, count in counts.items() if id and count > 1],
        "lines without an id": [line["path"] for line in lines if not line["id"]],
        "another status than the client saw": [
            f"{id}: {status[id]}, not {seen}" for id, seen in asked.items() if seen and id in status and status[id] != seen
        ],
    }
    strangers = [id for id in counts if id and id not in asked and id not in judge.gone]
    malformed = judge.outcomes["malformed HTTP"].total()
    if len(strangers) > malformed:
        problems["lines of nobody's request"] = strangers
    left_in_line = sum(line["ending"] == "client_gone" and "server" not in line for line in lines)
    return [f"access log, {len(found)} {what}: {found[:5]}" for what, found in problems.items() if found], left_in_line
