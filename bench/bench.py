#!/usr/bin/env python3
"""What does a proxy cost? nginx, HAProxy and llama-balancer, one worker each, measured in turn in the same run.

The proxy is pinned to core 1; the engine and the load (wrk) share core 0. The figure to compare is processor time per request
(user and system, of the proxy alone, from /proc): a busy neighbour or a slow engine disturbs it far less than requests per
second. Rounds alternate between the proxies, medians are reported. Markdown on standard output, the rest on standard error.

    bench.py [--quick] [--binary llama-balancer] [--access-log] [--cases chat,stream] [--json FILE]
"""

import argparse
import datetime
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from programs import (
    CHAT_PATH,
    HERE,
    Balancer,
    HAProxy,
    Nginx,
    first_line,
    start_nginx_engine,
    start_proxy,
    start_streaming_engine,
)

LOAD_CORE, PROXY_CORE = 0, 1
REFERENCE = HAProxy.name
DIRECT = "direct"


@dataclass
class Case:
    name: str
    title: str
    connections: int
    size: int = 1024
    model_last: bool = False
    stream: bool = False
    close: bool = False  # a new connection for every request
    direct: bool = False  # measured without a proxy too
    own_engine: bool = False  # the engine that reads whole bodies and streams, instead of nginx


CASES = [
    Case("chat", "1 KB chat, 64 connections", 64, direct=True),
    Case("latency", "1 KB chat, 1 connection", 1, direct=True),
    Case("stream", "64 streams of 200 events", 64, stream=True, own_engine=True),
    Case("body-100k", "100 KB chat, model first, 16 connections", 16, size=100_000, own_engine=True),
    Case("body-100k-last", "100 KB chat, model last, 16 connections", 16, size=100_000, model_last=True, own_engine=True),
    Case("body-1m", "1 MB chat, model first, 8 connections", 8, size=1_000_000, own_engine=True),
    Case("body-1m-last", "1 MB chat, model last, 8 connections", 8, size=1_000_000, model_last=True, own_engine=True),
    Case("connect", "1 KB chat, a new connection each, 64 at a time", 64, close=True),
]
EXTRA_CASES = ["memory", "start"]

# What issue "the main job" asks of llama-balancer: (case, metric, proxy to compare with, at most this many times its figure).
TARGETS = [("chat", "cpu_us", REFERENCE, 1.25), ("latency", "added_us", Nginx.name, 2.0)]
TARGET_MEMORY_MB, TARGET_START_MS = 60, 150


def note(text):
    print(text, file=sys.stderr, flush=True)


def chat_body(size, model_last=False, stream=False):
    """A chat of about `size` bytes: a conversation of messages of 2 KB, as editors and agents send them."""
    text = 'The quick brown fox jumps over the lazy dog. She said \\"hello\\".\\n'
    messages, length = [], 0
    while length < size - 150:
        content = (text * 40)[: min(2000, size - 150 - length)].rpartition(" ")[0]
        role = "user" if len(messages) % 2 == 0 else "assistant"
        messages.append(f'{{"role":"{role}","content":"{content}"}}')
        length += len(messages[-1]) + 1
    fields = ['"model":"bench-model"', f'"stream":{"true" if stream else "false"}', f'"messages":[{",".join(messages)}]']
    body = "{" + ",".join(reversed(fields) if model_last else fields) + "}"
    json.loads(body)
    return body.encode()


def run_wrk(port, case, body_file, seconds):
    command = ["taskset", "--cpu-list", str(LOAD_CORE), "wrk", "--threads", "1", "--connections", str(case.connections)]
    command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "30s", "--latency", "--script", str(HERE / "chat.lua")]
    command += [f"http://127.0.0.1:{port}{CHAT_PATH}", "--", str(body_file)] + (["close"] if case.close else [])
    output = subprocess.run(command, capture_output=True, text=True)
    results = [line for line in output.stdout.splitlines() if line.startswith("RESULT ")]
    if not results:
        raise SystemExit(f"bench: wrk failed: {output.stdout}{output.stderr}")
    return json.loads(results[0].removeprefix("RESULT "))


def warm_up(port):
    """A few requests, so that memory pages are touched, connections to the engine open, and the engine's health is known."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(200):
        connection.request("POST", CHAT_PATH, chat_body(200), {"Content-Type": "application/json"})
        connection.getresponse().read()
    connection.close()


def events_sent(engine_port):
    connection = http.client.HTTPConnection("127.0.0.1", engine_port, timeout=5)
    connection.request("GET", "/count")
    return int(connection.getresponse().read())


def measure(case, proxy, engine_ports, body_file, folder, seconds):
    """One round of one case through one proxy (None: straight to the engine)."""
    if proxy is None:
        warm_up(engine_ports[0])
        result = run_wrk(engine_ports[0], case, body_file, seconds)
        return figures(case, result, cpu=None, memory=None, work=result["requests"])
    with start_proxy(proxy, engine_ports, folder, PROXY_CORE) as program:
        program.wait_until_answering("POST", CHAT_PATH, chat_body(200))
        warm_up(program.port)
        events = events_sent(engine_ports[0]) if case.stream else 0
        cpu = program.cpu_seconds()
        result = run_wrk(program.port, case, body_file, seconds)
        cpu = program.cpu_seconds() - cpu
        work = events_sent(engine_ports[0]) - events if case.stream else result["requests"]
        return figures(case, result, cpu, program.memory_mb(), work)


def figures(case, result, cpu, memory, work):
    if result["bad_statuses"] or result["errors"]:
        note(f"  ! {result['bad_statuses']} answers other than 2xx, {result['errors']} errors")
    row = {"per_s": work / result["seconds"], "errors": result["errors"] + result["bad_statuses"]}
    if not case.stream:  # the time of a whole stream is the engine's
        row |= {"p50_us": result["p50_us"], "p99_us": result["p99_us"]}
    if cpu is not None:
        row |= {"cpu_us": cpu * 1e6 / max(1, work), "memory_mb": memory}
    return row


def medians_of(rows):
    return {name: {key: statistics.median(row[key] for row in found) for key in found[0]} for name, found in rows.items()}


def run_case(case, proxies, rounds, seconds, folder):
    body_file = folder / f"{case.name}.json"
    body_file.write_bytes(chat_body(case.size, case.model_last, case.stream))
    rows = {}
    engine, ports = (start_streaming_engine if case.own_engine else start_nginx_engine)(folder, LOAD_CORE)
    with engine:
        for number in range(rounds):
            order = ([None] if case.direct else []) + proxies
            for proxy in order if number % 2 == 0 else reversed(order):
                name = proxy.name if proxy else DIRECT
                row = measure(case, proxy, ports, body_file, folder, seconds)
                rows.setdefault(name, []).append(row)
                note(f"  {case.name} round {number + 1} {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items()))
    medians = medians_of(rows)
    if case.direct:
        for name, row in medians.items():
            if name != DIRECT:
                row["added_us"] = row["p50_us"] - medians[DIRECT]["p50_us"]
    return {"title": case.title, "medians": medians, "rounds": rows}


def run_memory(proxies, rounds, folder):
    """How much more memory a proxy has had at most after it forwarded one chat of 20 MB."""
    body, rows = chat_body(20_000_000, model_last=True), {}
    engine, ports = start_streaming_engine(folder, LOAD_CORE)
    with engine:
        for proxy in proxies * rounds:
            with start_proxy(proxy, ports, folder, PROXY_CORE) as program:
                program.wait_until_answering("POST", CHAT_PATH, chat_body(200))
                before = program.memory_mb("VmHWM")
                program.wait_until_answering("POST", CHAT_PATH, body)
                rows.setdefault(proxy.name, []).append({"extra_mb": program.memory_mb("VmHWM") - before})
    return {"title": "a 20 MB chat: extra resident memory", "medians": medians_of(rows), "rounds": rows}


def run_start(proxies, rounds, folder):
    """From the start of the program to its first answered chat."""
    rows = {}
    engine, ports = start_nginx_engine(folder, LOAD_CORE)
    with engine:
        for proxy in proxies * rounds:
            begun = time.monotonic()
            with start_proxy(proxy, ports, folder, PROXY_CORE) as program:
                program.wait_until_answering("POST", CHAT_PATH, chat_body(200), pause=0.001)
                rows.setdefault(proxy.name, []).append({"start_ms": (time.monotonic() - begun) * 1000})
    return {"title": "start to first answered request", "medians": medians_of(rows), "rounds": rows}


# Report


def table(headings, rows):
    lines = ["| " + " | ".join(headings) + " |", "| --- " + "| ---: " * (len(headings) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def cell(row, key, form, scale=1.0):
    return format(row[key] * scale, form) if row.get(key) is not None else "–"


def ratio(medians, name, key):
    """Times the reference's figure; 1.00 for the reference itself."""
    own, reference = medians[name].get(key), medians.get(REFERENCE, {}).get(key)
    return f"{own / reference:.2f}" if own is not None and reference and reference > 0 else "–"


def report(results, versions):
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        "unknown processor",
    )
    print(f"{datetime.date.today()} · {' · '.join(versions)} · {processor}, {os.cpu_count()} cores, Linux {platform.release()}\n")
    for name, result in results.items():
        medians = result["medians"]
        print(f"### {result['title']}\n")
        if name == "memory":
            print(table(["", "MB more"], [[n, cell(row, "extra_mb", ".1f")] for n, row in medians.items()]))
        elif name == "start":
            print(table(["", "ms"], [[n, cell(row, "start_ms", ".0f")] for n, row in medians.items()]))
        else:
            unit = "event" if name == "stream" else "request"
            headings = [
                "",
                f"µs processor / {unit}",
                f"× {REFERENCE}",
                f"{unit}s/s",
                "p50 ms",
                "p99 ms",
                "added µs",
                f"× {REFERENCE}",
                "RSS MB",
            ]
            rows = [
                [
                    n, cell(row, "cpu_us", ".1f"), ratio(medians, n, "cpu_us"), cell(row, "per_s", ",.0f"),
                    cell(row, "p50_us", ".3f", 0.001), cell(row, "p99_us", ".3f", 0.001),
                    cell(row, "added_us", ".0f"), ratio(medians, n, "added_us"), cell(row, "memory_mb", ".0f"),
                ]
                for n, row in medians.items()
            ]  # fmt: skip
            print(table(headings, rows))


def report_targets(results):
    """Each target with what was reached; nothing where llama-balancer or the case was not measured."""
    lines = []

    def line(what, reached, limit, unit):
        lines.append([what, f"{reached:.2f} {unit}", f"≤ {limit} {unit}", "reached" if reached <= limit else "**missed**"])

    for case, metric, proxy, limit in TARGETS:
        medians = results.get(case, {}).get("medians", {})
        if Balancer.name in medians and proxy in medians:
            line(f"{case}: {metric} against {proxy}", medians[Balancer.name][metric] / medians[proxy][metric], limit, "×")
    for case, metric, limit, unit in (
        ("memory", "extra_mb", TARGET_MEMORY_MB, "MB"),
        ("start", "start_ms", TARGET_START_MS, "ms"),
    ):
        row = results.get(case, {}).get("medians", {}).get(Balancer.name)
        if row:
            line(case, row[metric], limit, unit)
    if lines:
        print("### Targets\n\n" + table(["", "measured", "target", ""], lines))


def main():
    everything = [case.name for case in CASES] + EXTRA_CASES
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="three short rounds, under two minutes; for a look, not for the record"
    )
    parser.add_argument("--binary", default=os.environ.get("LLAMA_BALANCER", str(HERE.parent / ".build/release/llama-balancer")))
    parser.add_argument("--access-log", action="store_true", help="llama-balancer writes its access log to a file")
    parser.add_argument("--peers-only", action="store_true", help="nginx and HAProxy without llama-balancer")
    parser.add_argument("--cases", default=",".join(everything), help="some of: " + ", ".join(everything))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there")
    arguments = parser.parse_args()
    wanted = arguments.cases.split(",")
    if unknown := set(wanted) - set(everything):
        parser.error(f"unknown cases: {', '.join(sorted(unknown))}; there are: {', '.join(everything)}")
    if (os.cpu_count() or 1) < 2:
        parser.error("needs two cores: one for the proxy, one for the load")

    proxies = [Nginx(), HAProxy()]
    if not arguments.peers_only:
        if not os.access(arguments.binary, os.X_OK):
            parser.error(
                f"no llama-balancer at {arguments.binary}: build it (make release), name it with --binary, or use --peers-only"
            )
        proxies.append(Balancer(str(Path(arguments.binary).resolve()), arguments.access_log))
    rounds = arguments.rounds or (3 if arguments.quick else 5)
    seconds = arguments.seconds or (1 if arguments.quick else 3)
    versions = [proxy.version() for proxy in proxies] + [first_line("wrk", "-v").split(" [")[0]]

    results = {}
    with tempfile.TemporaryDirectory(prefix="llama-balancer-bench-") as name:
        folder = Path(name)
        os.chmod(folder, 0o755)  # nginx's worker is another user when we are root
        for case in CASES:
            if case.name in wanted:
                results[case.name] = run_case(case, proxies, rounds, seconds, folder)
        if "memory" in wanted:
            results["memory"] = run_memory(proxies, 3, folder)
        if "start" in wanted:
            results["start"] = run_start(proxies, 10, folder)
    report(results, versions)
    report_targets(results)
    if arguments.json:
        record = {
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "versions": versions,
            "cases": results,
        }
        Path(arguments.json).write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
