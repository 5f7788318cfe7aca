#!/usr/bin/env python3
"""What a load balancer for LLM engines should keep, checked from outside on any HTTP reverse proxy.

    conformance/run.py --proxy llama-balancer --binary .build/release/llama-balancer --fake .build/release/fake-llama
    conformance/run.py --proxy haproxy --fake .build/release/fake-llama --json haproxy.json
    conformance/run.py --start 'my-proxy --port {port} {engine1} {engine2}' --fake .build/release/fake-llama
    conformance/run.py --markdown table.md --merge ours.json nginx.json haproxy.json
"""

import argparse
import dataclasses
import datetime
import json
import sys
from pathlib import Path

import checks  # noqa: F401: registers them
import proxies
import report
import suite


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proxy", choices=sorted(proxies.KNOWN), default="llama-balancer")
    parser.add_argument("--binary", help="the proxy's program, where it is not found by its name")
    parser.add_argument("--start", metavar="COMMAND", help="another proxy; {port} {engine1} {engine2} are filled in")
    parser.add_argument("--name", help="what the proxy of --start is called in the table")
    parser.add_argument("--fake", help="our fake engine, fake-llama")
    parser.add_argument("--only", action="append", metavar="WORD", help="checks with this in their id, group or promise")
    parser.add_argument("--heavy", action="store_true", help="also what takes minutes or much memory")
    parser.add_argument("--at-once", type=int, default=4, help="how many checks that measure nothing run side by side")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--markdown", metavar="FILE", help="write a table there; with --merge, of several results")
    parser.add_argument("--merge", nargs="+", metavar="JSON", help="run nothing: make the table of these results")
    options = parser.parse_args()

    if options.merge:
        results = [json.loads(Path(file).read_text()) for file in options.merge]
        table = report.markdown(results)
        Path(options.markdown).write_text(table) if options.markdown else print(table)
        return 0

    chosen = [c for c in suite.CHECKS if options.heavy or not c.heavy]
    for word in options.only or []:
        chosen = [c for c in chosen if word.lower() in f"{c.id} {c.group} {c.promise}".lower()]
    if options.list:
        for check in chosen:
            print(f"{check.id:28} {check.group:18} {check.promise}{' (heavy)' if check.heavy else ''}")
        return 0
    if not options.fake:
        parser.error("--fake: where is fake-llama?")
    proxy = proxies.Other(options.start, options.name) if options.start else proxies.KNOWN[options.proxy](options.binary)

    stages = suite.Stages(proxy, str(Path(options.fake).resolve()))
    try:
        version = proxy.version()
        print(f"{proxy.name} {version}: {len(chosen)} checks\n", flush=True)
        results = suite.run(chosen, stages, report.tell, options.at_once)
    finally:
        stages.close()
    document = {
        "proxy": proxy.name, "version": version, "date": datetime.date.today().isoformat(),
        "results": [dataclasses.asdict(result) for result in results],
    }  # fmt: skip
    if options.json:
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    if options.markdown:
        Path(options.markdown).write_text(report.markdown([document]))
    print(report.table(results))
    counts = {verdict: sum(r.verdict == verdict for r in results) for verdict in ("pass", "FAIL", "n.a.")}
    print(f"{counts['pass']} passed, {counts['FAIL']} failed, {counts['n.a.']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
