"""One run: a fleet, a proxy before it, a workload, and what came of it."""

import asyncio
import gc
import json
import os
import re
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from programs import BALANCER_BINARY, Program, free_ports
from routing_player import Player
from routing_workloads import FLEETS, LOADS, SLOTS, WORKLOADS, message

FLEET_BINARY = os.environ.get("FAKE_FLEET", str(Path(BALANCER_BINARY).with_name("fake-fleet")))
MOST_LAG_MS = 6  # p99; 1 ms of it is 30 ms of a virtual time
DRAIN = 240  # virtual seconds after the end in which answers still count with their own times
ALL_CORES = f"0-{(os.cpu_count() or 1) - 1}"


def start_fleet(binary, speeds, scale, folder):
    """The machines, and their ports."""
    machines = [part for speed in speeds for part in ("--machine", f"{speed}:{SLOTS}")]
    program = Program("fake-fleet", [binary, "--scale", scale, *machines], ALL_CORES, 0, folder)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        ports = [int(port) for port in re.findall(r"^listening on http://127.0.0.1:(\d+)\n", program.log.read_text(), re.M)]
        if len(ports) == len(speeds):
            program.port = ports[0]
            return program.wait_until_answering(), ports
        time.sleep(0.02)
    program.__exit__()
    raise SystemExit(f"bench-routing: {binary} does not start; its log:\n{program.log.read_text()}")


def ask_fleet(program, method, path):
    request = urllib.request.Request(f"http://127.0.0.1:{program.port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


def take_precedence(*programs):
    """Before other programs of this machine, where we may (root): a late program makes every time of a run wrong."""
    processes = [os.getpid()] + [pid for program in programs for pid in program.pids()]
    for thread in (int(thread) for pid in processes for thread in os.listdir(f"/proc/{pid}/task")):
        try:
            os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(1))
        except OSError:
            return


async def wait_for_proxy(player, program, settle_seconds):
    """Until three chats in a row were answered."""
    answered = 0
    for _ in range(150):
        text = await player.chat("probe", "127.0.0.1", [message("user", "probe", 4)], 1)
        answered = answered + 1 if text is not None else 0
        if answered == 3:
            return await asyncio.sleep(settle_seconds)
        if program.popen.poll() is not None:
            break
        await asyncio.sleep(0.1)
    raise SystemExit(f"bench-routing: {program.name} answers no chat; its log:\n{program.log.read_text()[-2000:]}")


async def play(run, proxy, program, fleet):
    player = Player(program.port, run["scale"], run["minutes"] * 60)
    player.start()
    await wait_for_proxy(player, program, proxy.settle_seconds)
    gc.collect()
    gc.freeze()
    gc.disable()  # its pauses would be lag
    take_precedence(program, fleet)
    await asyncio.sleep(0.1)
    ask_fleet(fleet, "POST", "/fleet/reset")
    player.records.clear()
    player.lags.clear()
    player.zero = time.monotonic()
    workload = asyncio.create_task(WORKLOADS[run["workload"]](player, LOADS[run["fleet"]], run["seed"]))
    done, _ = await asyncio.wait([workload], timeout=(player.until + DRAIN) / run["scale"])
    if done:
        workload.result()  # a mistake of ours must be seen
    ended = player.now()
    player.meter.cancel()
    result = figures(player, run["warm"] * 60, ended)
    report = ask_fleet(fleet, "GET", "/fleet")
    workload.cancel()
    lags = sorted(1000 * lag for lag in player.lags)
    result["lag_ms"] = {"player": round(lags[int(len(lags) * 0.99)], 2), "fleet": round(report["lag_ms"]["p99"], 2)}
    result["valid"] = max(result["lag_ms"].values()) <= MOST_LAG_MS
    return result


def figures(player, warm, ended):
    """What begins after the warm-up counts, by kind of request. What is unanswered at the end counts with its age."""
    counted = [record for record in player.records if warm <= record.began < player.until]
    waiting = [record for record in player.open_records if warm <= record.began < player.until]
    answered = [record for record in counted if record.text is not None]
    kinds = {}
    for kind in sorted({record.kind for record in answered + waiting}):
        first, total = [], []
        for record in answered + waiting:
            if record.kind == kind:
                age, call = ended - record.began, record.call
                begun = call is not None and call.first_text_at is not None
                first.append(record.first or (player.at(call.first_text_at) - record.began if begun else age))
                total.append(record.total or age)
        own = [record for record in answered if record.kind == kind]
        prompt = sum(record.prompt for record in own)
        kinds[kind] = {
            "requests": len(first),
            "first_mean": round(statistics.fmean(first), 3), "total_mean": round(statistics.fmean(total), 3),
            "first_p90": quantile(first, 0.9), "total_p90": quantile(total, 0.9),
            "cached": round(sum(record.cached for record in own) / prompt, 4) if prompt else 0,
            "unfinished": sum(record.kind == kind for record in waiting),
        }  # fmt: skip
    servers = [record.server for record in answered]
    return {
        "kinds": kinds,
        "failed": sum(record.text is None for record in counted),
        "problems": sorted({record.problem for record in counted if record.problem})[:3],
        "servers": {server: servers.count(server) for server in sorted(set(servers), key=str)},
        "moved": moved_share(answered),
    }


def quantile(values, share):
    return round(sorted(values)[int(len(values) * share)], 3) if values else None


def moved_share(answered):
    """Turns that went to another machine than the turn before."""
    last, turns, moved = {}, 0, 0
    for record in sorted(answered, key=lambda record: record.began):
        if record.conversation:
            turns += record.conversation in last
            moved += last.get(record.conversation, record.server) != record.server
            last[record.conversation] = record.server
    return round(moved / turns, 3) if turns else None


def run_once(run, proxy, fleet_binary):
    """The run with its result. For a process of its own: it takes precedence, and leaves the garbage where it is."""
    with tempfile.TemporaryDirectory(prefix="llama-balancer-routing-") as name:
        folder = Path(name)
        fleet, engines = start_fleet(fleet_binary, FLEETS[run["fleet"]], run["scale"], folder)
        with fleet:
            [port] = free_ports(1)
            with Program("proxy", proxy.command(folder, port, engines, run["scale"]), ALL_CORES, port, folder) as program:
                program.name = proxy.name
                return run | {"version": proxy.version()} | asyncio.run(play(run, proxy, program, fleet))
