#!/usr/bin/env python3
"""Where do conversations go, and what do real engines find in their caches? Three llama-servers of unequal speed on this machine,
eight scripted conversations, llama-balancer with each of its rules, and HAProxy.

Each run has fresh engines and plays the same script. One line a run on standard error, a table in Markdown at the end.

    real_engines.py [--binary llama-balancer] [--seeds 1] [--proxies default,sticky] [--unified] [--json FILE]
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from load import note
from programs import BALANCER_BINARY, HERE, Program, free_ports
from real_conversations import conversations
from report import MISSING, table
from routing_player import MODEL, Player
from routing_proxies import HAProxyRule, Ours
from routing_run import ALL_CORES, moved_share, quantile, wait_for_proxy
from routing_workloads import SLOTS

ROOT = HERE.parent
MODELS, PYTHON = ROOT / ".models", ROOT / ".venv-e2e/bin/python"
LLAMA_SERVER, MAKE_MODEL = ROOT / "e2e/llama_server.py", ROOT / "e2e/make_byte_gguf.py"
# Layers of the three models: what an engine has to compute for a token, and so its speed, goes with them. Narrow, because then
# most of the work is the same for every token, wherever it stands in the prompt.
ENGINES = {"fast": 1, "medium": 2, "slow": 4}
SHAPE = {"--width": 128, "--heads": 2, "--feed-forward": 2048}
PRECEDENCE = -15  # before other programs of this machine, where we may (root)
CONTEXT = 12_288  # tokens for each slot
RULES = ["sticky", "least-in-flight", "round-robin", "cache-aware"]
# A forecast is right if it is so near to what the engine found, in tokens or as a part of that.
NEAR_TOKENS, NEAR_PART = 32, 0.05


def arguments_of_command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=BALANCER_BINARY)
    parser.add_argument("--seeds", default="1", help="with commas; the table has their means. A seed takes some five minutes")
    parser.add_argument("--proxies", help="only those whose names contain one of these, with commas; `default`: the default rule")
    unified = "engines whose slots share their memory, as llama-server has it without -np; idle slots are then cleared"
    parser.add_argument("--unified", action="store_true", help=unified)
    parser.add_argument("--json", metavar="FILE", help="a line for each run, with each of its requests")
    arguments = parser.parse_args()
    arguments.seeds = [int(seed) for seed in arguments.seeds.split(",")]
    if not os.access(arguments.binary, os.X_OK):
        parser.error(f"no program at {arguments.binary}: make release, or name it with --binary")
    if not PYTHON.exists():
        parser.error(f"no llama-server in {PYTHON.parent}: scripts/install-e2e.sh --engine")
    return arguments


def compared(arguments):
    everything = [Ours(arguments.binary)] + [Ours(arguments.binary, rule) for rule in RULES]
    if shutil.which("haproxy"):
        everything += [HAProxyRule("HAProxy leastconn", sticks=False), HAProxyRule("HAProxy stick", sticks=True)]
    if not arguments.proxies:
        return everything
    named = arguments.proxies.split(",")
    return [p for p in everything if any(name in p.name for name in named) or p.name == Ours.name and "default" in named]


def model_of(layers):
    shape = SHAPE | {"--layers": layers}
    path = MODELS / f"byte-{'-'.join(map(str, shape.values()))}.gguf"
    if not path.exists():
        options = [str(part) for option in shape.items() for part in option]
        subprocess.run([PYTHON, MAKE_MODEL, path, *options], check=True)
    return path


def start_engines(folder, unified, ending):
    """Fresh ones: nothing is in their caches. Returns their ports by name."""
    ports = dict(zip(ENGINES, free_ports(len(ENGINES))))
    for name, layers in ENGINES.items():
        # Slots that share their memory have all of it each.
        options = ["--slots", SLOTS, "--context", CONTEXT * SLOTS, *(["--unified"] if unified else [])]
        command = [PYTHON, LLAMA_SERVER, model_of(layers), "--port", ports[name], "--alias", MODEL, *options]
        ending.enter_context(Program(name, command, ALL_CORES, ports[name], folder)).wait_until_answering(path="/health")
    return ports


async def play(proxy, program, seed):
    player = Player(program.port, 1, float("inf"))
    player.start()
    await wait_for_proxy(player, program, proxy.settle_seconds)
    player.records.clear()
    player.zero = time.monotonic()
    whole = await conversations(player, seed)
    player.meter.cancel()
    return player.records, whole


def is_right(record):
    return abs(record.forecast - record.cached) <= max(NEAR_TOKENS, NEAR_PART * record.cached)


def run_once(proxy, seed, unified):
    with tempfile.TemporaryDirectory(prefix="llama-balancer-engines-") as name, contextlib.ExitStack() as ending:
        folder = Path(name)
        engines = start_engines(folder, unified, ending)
        [port] = free_ports(1)
        command = proxy.command(folder, port, list(engines.values()), 1)
        program = ending.enter_context(Program("proxy", command, ALL_CORES, port, folder))
        records, whole = asyncio.run(play(proxy, program, seed))
    answered = [record for record in records if record.text is not None]
    if not answered:
        raise SystemExit(f"bench-engines: {proxy.name} answered nothing: {records[0].problem}")
    forecasts = [record for record in answered if record.forecast is not None]
    first, total = [record.first for record in answered], [record.total for record in answered]
    prompt, cached = sum(record.prompt for record in answered), sum(record.cached for record in answered)
    return {
        "proxy": proxy.name, "seed": seed, "requests": len(answered), "failed": len(records) - len(answered),
        "cache_n": cached, "prompt_n": prompt - cached, "cached": cached / prompt,
        "first_mean": statistics.fmean(first), "first_p90": quantile(first, 0.9), "total_mean": statistics.fmean(total),
        "whole": whole, "moved": moved_share(answered),
        "right": sum(map(is_right, forecasts)) / len(forecasts) if forecasts else None,
        "records": [
            [r.conversation, round(r.began, 3), r.server, r.forecast, r.cached, r.prompt, round(r.first, 3), round(r.total, 3)]
            for r in sorted(answered, key=lambda record: record.began)
        ],
    }  # fmt: skip


def summary(run):
    failed = f"{run['failed']} FAILED, " if run["failed"] else ""
    right = f"{run['right']:.0%}" if run["right"] is not None else MISSING
    prompt = run["cache_n"] + run["prompt_n"]
    return (
        f"seed {run['seed']} {run['proxy']}: {run['requests']} requests, {failed}cached {run['cached']:.1%} "
        f"({run['cache_n']} of {prompt}), first {run['first_mean']:.2f} s (p90 {run['first_p90']:.2f}), "
        f"answer {run['total_mean']:.2f} s, all {run['whole']:.1f} s, forecasts right {right}"
    )


COLUMNS = {
    "cached": ("cached", "{:.1%}"),
    "computed": ("prompt_n", "{:,.0f}"),
    "first token, mean": ("first_mean", "{:.2f} s"),
    "p90": ("first_p90", "{:.2f} s"),
    "whole answer": ("total_mean", "{:.2f} s"),
    "all": ("whole", "{:.1f} s"),
    "forecast right": ("right", "{:.0%}"),
}


def print_table(runs):
    rows = []
    for name in dict.fromkeys(run["proxy"] for run in runs):
        row = [name]
        for key, form in COLUMNS.values():
            values = [run[key] for run in runs if run["proxy"] == name and run[key] is not None]
            row.append(form.format(statistics.fmean(values)) if values else MISSING)
        rows.append(row)
    print(table(["", *COLUMNS], rows))


def main():
    arguments = arguments_of_command_line()
    proxies, runs = compared(arguments), []
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRECEDENCE)  # the programs that are started inherit it
    note(" · ".join(dict.fromkeys(proxy.version() for proxy in proxies)))
    with open(arguments.json, "w") if arguments.json else contextlib.nullcontext() as file:
        for seed in arguments.seeds:
            for proxy in proxies:
                runs.append(run_once(proxy, seed, arguments.unified))
                note(summary(runs[-1]))
                if file:
                    print(json.dumps(runs[-1]), file=file, flush=True)
    print_table(runs)


if __name__ == "__main__":
    main()
