#!/usr/bin/env python3
"""The worked example of docs/simulation.md: two fleets, more and more coding agents, a graph.

    third_machine.py [--binary llama-balancer] [--graph FILE]

Prints the figures as a table, too. Simulated, so the same on every machine.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

from graph import Series, line_graph
from programs import BALANCER_BINARY

FLEETS = {"4000,1500": "two machines", "4000,1500,2500": "with a third one"}
AGENTS = [2, 4, 8, 12, 16]
SEEDS = ["1", "2", "3"]


def mean_seconds(binary, servers, agents):
    """Until the first token, the mean of the seeds."""
    command = [binary, "simulate", "--agents", str(agents), "--servers", servers, "--rule", "expected-cost", "--json"]
    for seed in SEEDS:
        command += ["--seed", seed]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return statistics.mean(row["ttft_mean_s"] for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(BALANCER_BINARY))
    parser.add_argument("--graph", type=Path, help="an SVG file to write")
    options = parser.parse_args()

    print("| Agents | " + " | ".join(FLEETS.values()) + " |\n| ---: | " + " | ".join("---:" for _ in FLEETS) + " |")
    series = [Series(name, []) for name in FLEETS.values()]
    for agents in AGENTS:
        seconds = [mean_seconds(options.binary, servers, agents) for servers in FLEETS]
        for one, value in zip(series, seconds):
            one.points.append((agents, value))
        print(f"| {agents} | " + " | ".join(f"{value:.2f} s" for value in seconds) + " |")
    if options.graph:
        title = "What a third machine gives coding agents (simulated)"
        options.graph.parent.mkdir(parents=True, exist_ok=True)
        options.graph.write_text(line_graph(title, "agents", "seconds to the first token, mean", series))


if __name__ == "__main__":
    main()
