#!/usr/bin/env python3
"""Where do requests go, and what do their clients wait for it? llama-balancer beside nginx, HAProxy and other routers.

Each run has a fleet of simulated llama-servers on real sockets (fake-fleet), thirty times as fast as life, one proxy before it,
and clients that use it as people and agents do. One line a run on standard error, a JSON line in the file, tables in Markdown at
the end.

    routing.py [--quick] [--peers usual|all|none] [--cells equal4/agents,…] [--seeds 1,2] [--lanes 2] [--binary llama-balancer]
    routing.py --table    the table of what the file has
    routing.py --check    one machine alone: does it take the time that theory says?
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import routing_check
from load import note
from programs import BALANCER_BINARY, HERE
from routing_proxies import proxies
from routing_run import FLEET_BINARY, run_once
from routing_table import print_tables, summary
from routing_workloads import FLEETS, WORKLOADS

ALL_CELLS = [f"{fleet}/{workload}" for fleet, workload in itertools.product(FLEETS, WORKLOADS)]
USUAL_CELLS = [
    cell
    for cell in ALL_CELLS
    if not cell.startswith(("unequal4-slow-first/", "home2/")) or cell.endswith(("/agents", "/documents", "home2/mixed"))
]
QUICK_CELLS = ["equal4/documents", "unequal4/agents"]
RESULTS = HERE.parent / ".build-bench/routing.jsonl"
IDENTITY = ("fleet", "workload", "proxy", "seed", "minutes", "warm", "scale")


def arguments_of_command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    quick = "two cells and five virtual minutes of each run: some two minutes, for a look only"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--binary", default=BALANCER_BINARY)
    parser.add_argument("--fleet-binary", default=FLEET_BINARY)
    peers = "usual: nginx and HAProxy; all: SMG, SGLang and vLLM as well"
    parser.add_argument("--peers", choices=["usual", "all", "none"], default="usual", help=peers)
    parser.add_argument("--proxies", help="only those whose names contain one of these, with commas")
    parser.add_argument("--cells", help="FLEET/WORKLOAD with commas, or all; there are: " + ", ".join(ALL_CELLS))
    parser.add_argument("--seeds", default="1", help="with commas; the table has their means")
    parser.add_argument("--lanes", type=int, default=1, help="runs at the same time; too many are late, and say so")
    parser.add_argument("--minutes", type=float, help="virtual ones of each run; 15")
    parser.add_argument("--warm", type=float, help="virtual minutes at its beginning that do not count; 2")
    parser.add_argument("--scale", type=float, default=30, help="how many times as fast as life")
    parser.add_argument("--json", metavar="FILE", default=str(RESULTS), help="a line for each run")
    parser.add_argument("--resume", action="store_true", help="keep the valid runs that the file has, and make the others")
    parser.add_argument("--table", action="store_true", help="only print the table of what the file has")
    parser.add_argument("--check", action="store_true", help="only compare one machine with theory")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a run, as JSON: for the process that this one starts
    arguments = parser.parse_args()
    usual = QUICK_CELLS if arguments.quick else USUAL_CELLS
    named = ALL_CELLS if arguments.cells == "all" else arguments.cells.split(",") if arguments.cells else usual
    if unknown := set(named) - set(ALL_CELLS):
        parser.error(f"unknown cells: {', '.join(sorted(unknown))}; there are: {', '.join(ALL_CELLS)}")
    arguments.cells = named
    arguments.seeds = [int(seed) for seed in arguments.seeds.split(",")]
    arguments.minutes = arguments.minutes or (5 if arguments.quick else 15)
    arguments.warm = arguments.warm if arguments.warm is not None else 1 if arguments.quick else 2
    needed = [] if arguments.table else [arguments.fleet_binary]
    needed += [] if arguments.table or arguments.check else [arguments.binary]
    for binary in needed:
        if not os.access(binary, os.X_OK):
            parser.error(f"no program at {binary}: make release, or name it with --binary or --fleet-binary")
    return arguments


def wanted_runs(arguments, compared):
    """Proxies take turns in each cell, so that what disturbs the machine for a while disturbs all of them."""
    for seed, cell, proxy in itertools.product(arguments.seeds, arguments.cells, compared):
        fleet, workload = cell.split("/")
        yield {
            "fleet": fleet, "workload": workload, "proxy": proxy.name, "seed": seed, "minutes": arguments.minutes,
            "warm": arguments.warm, "scale": arguments.scale,
        }  # fmt: skip


def identity(run):
    return tuple(run[key] for key in IDENTITY)


def load(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_in_process(run, arguments):
    """The run's result; a run that was late is made once more."""
    options = ["--binary", arguments.binary, "--fleet-binary", arguments.fleet_binary, "--peers", "all", "--one", json.dumps(run)]
    for last in (False, True):
        child = subprocess.run([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True)
        if child.returncode != 0:
            return None
        result = json.loads(child.stdout)
        if result["valid"] or last:
            return result
        note(f"{summary(result)}: again")


def compare(arguments, compared, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [run for run in load(path) if run["valid"]] if arguments.resume else []
    path.write_text("".join(json.dumps(run) + "\n" for run in kept))
    done = {identity(run) for run in kept}
    runs = [run for run in wanted_runs(arguments, compared) if identity(run) not in done]
    failed = 0
    with ThreadPoolExecutor(arguments.lanes) as lanes, path.open("a") as file:
        for number, result in enumerate(lanes.map(lambda run: run_in_process(run, arguments), runs), 1):
            failed += result is None
            if result:
                note(f"{number}/{len(runs)} {summary(result)}")
                file.write(json.dumps(result) + "\n")
                file.flush()
    return failed


def main():
    arguments = arguments_of_command_line()
    everything = proxies(arguments.binary, arguments.peers)
    if arguments.one:
        run = json.loads(arguments.one)
        [proxy] = [proxy for proxy in everything if proxy.name == run["proxy"]]
        return print(json.dumps(run_once(run, proxy, arguments.fleet_binary)))
    if arguments.check:
        return routing_check.main(arguments.fleet_binary, arguments.scale)
    path, failed = Path(arguments.json), 0
    if not arguments.table:
        named = arguments.proxies.split(",") if arguments.proxies else [""]
        if arguments.peers == "all" and (missing := [router.name for router in everything if router.is_missing()]):
            raise SystemExit(f"bench-routing: not installed: {', '.join(missing)}; run scripts/install-routers.sh")
        compared = [proxy for proxy in everything if any(name in proxy.name for name in named)]
        failed = compare(arguments, compared, path)
        note(f"results: {path}")
    print_tables(load(path))
    if failed:
        raise SystemExit(f"bench-routing: {failed} runs failed")


if __name__ == "__main__":
    main()
