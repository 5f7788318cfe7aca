#!/usr/bin/env python3
"""What does a proxy cost? nginx, HAProxy and llama-balancer, one worker each, measured in turn in the same run.

The proxy is pinned to core 1; the engine and the load (wrk) share core 0. The figure to compare is processor time per request
(user and system, of the proxy alone, from /proc): a busy neighbour or a slow engine disturbs it far less than requests per
second. llama-balancer routes by model, keeps sessions, counts its metrics and writes its access log to a file, as in earnest;
the other two write none. Rounds alternate between the proxies, medians are reported. Markdown on standard output, the rest on
standard error.

    bench.py [--quick] [--binary llama-balancer] [--before llama-balancer] [--no-access-log] [--cases chat,stream] [--json FILE]

`--before` measures another build beside the present one, in the same rounds: what a change costs.
"""

import argparse
import datetime
import json
import os
import tempfile
from pathlib import Path

from cases import CASES, run_case, run_loops, run_memory, run_start
from idle import run_idle_streams
from load import note
from programs import BALANCER_BINARY, BEFORE, Balancer, HAProxy, Nginx, first_line, raise_file_limit
from report import report, report_targets, targets_met

EVERYTHING = [case.name for case in CASES] + ["loops", "idle-streams", "memory", "start"]
SLOW = ["body-100k", "body-100k-last", "memory"]  # left out by --quick, unless named


def arguments_of_command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    quick = f"fewer and shorter rounds, 2,000 idle streams, without {', '.join(SLOW)}: under two minutes, for a look only"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--binary", default=BALANCER_BINARY)
    parser.add_argument("--before", metavar="BINARY", help="another build of llama-balancer, to compare with")
    parser.add_argument("--no-access-log", action="store_true", help="llama-balancer writes no access log")
    parser.add_argument("--peers-only", action="store_true", help="nginx and HAProxy without llama-balancer")
    parser.add_argument("--cases", help="some of: " + ", ".join(EVERYTHING))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--streams", type=int, help="of idle-streams: 10,000, or as many as the machine allows")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there")
    arguments = parser.parse_args()
    usual = [name for name in EVERYTHING if not (arguments.quick and name in SLOW)]
    arguments.cases = arguments.cases.split(",") if arguments.cases else usual
    if unknown := set(arguments.cases) - set(EVERYTHING):
        parser.error(f"unknown cases: {', '.join(sorted(unknown))}; there are: {', '.join(EVERYTHING)}")
    if (os.cpu_count() or 1) < 2:
        parser.error("needs two cores: one for the proxy, one for the load")
    if not arguments.peers_only and not os.access(arguments.binary, os.X_OK):
        parser.error(f"no llama-balancer at {arguments.binary}: make release, name it with --binary, or use --peers-only")
    if arguments.before and not os.access(arguments.before, os.X_OK):
        parser.error(f"no llama-balancer at {arguments.before} (--before)")
    return arguments


def run(arguments, proxies, folder):
    """All wanted cases, by name."""
    quick, wanted, results = arguments.quick, arguments.cases, {}
    rounds = arguments.rounds or (2 if quick else 5)
    seconds = arguments.seconds or (1 if quick else 3)
    for case in CASES:
        if case.name in wanted:
            results[case.name] = run_case(case, proxies, rounds, seconds, folder)
    if "loops" in wanted:
        results["loops"] = run_loops(proxies, rounds, seconds, folder)
    if "idle-streams" in wanted:
        streams = arguments.streams or (2000 if quick else 10_000)
        results["idle-streams"] = run_idle_streams(
            proxies, streams, arguments.rounds or (1 if quick else 2), arguments.seconds or (6 if quick else 20), folder
        )
    if "memory" in wanted:
        results["memory"] = run_memory(proxies, 3, folder)
    if "start" in wanted:
        results["start"] = run_start(proxies, 5 if quick else 10, folder)
    return results


def main():
    arguments = arguments_of_command_line()
    raise_file_limit()
    proxies = [Nginx(), HAProxy()]
    if arguments.before:
        proxies.append(Balancer(str(Path(arguments.before).resolve()), not arguments.no_access_log, name=BEFORE))
    if not arguments.peers_only:
        proxies.append(Balancer(str(Path(arguments.binary).resolve()), not arguments.no_access_log))
    versions = [proxy.version() for proxy in proxies] + [first_line("wrk", "-v").split(" [")[0]]
    with tempfile.TemporaryDirectory(prefix="llama-balancer-bench-") as name:
        os.chmod(name, 0o755)  # nginx's worker is another user when we are root
        results = run(arguments, proxies, Path(name))
    targets = targets_met(results)
    report(results, versions)
    report_targets(targets)
    if arguments.json:
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        record = {"date": now, "versions": versions, "cases": results, "targets": targets}
        Path(arguments.json).write_text(json.dumps(record, indent=2) + "\n")
        note(f"figures: {arguments.json}")


if __name__ == "__main__":
    main()
