"""The cases: what is sent through a proxy, and what comes out of each round."""

import os
import statistics
import time
from dataclasses import dataclass, replace

from load import chat_body, cost, get, note, run_wrk, warm_up
from programs import CHAT_PATH, LOAD_CORE, Placement, start_nginx_engine, start_proxy, start_streaming_engine

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
    tls: bool = False  # between clients and proxy
    own_engine: bool = False  # the engine that reads whole bodies and streams, instead of nginx


CASES = [
    Case("chat", "1 KB chat, 64 connections", 64, direct=True),
    Case("latency", "1 KB chat, 1 connection", 1, direct=True),
    Case("thousand", "1 KB chat, 1,000 connections", 1000),
    Case("stream", "64 streams of 200 events", 64, stream=True, own_engine=True),
    Case("body-100k", "100 KB chat, model first, 16 connections", 16, size=100_000, own_engine=True),
    Case("body-100k-last", "100 KB chat, model last, 16 connections", 16, size=100_000, model_last=True, own_engine=True),
    Case("body-1m", "1 MB chat, model first, 8 connections", 8, size=1_000_000, own_engine=True),
    Case("body-1m-last", "1 MB chat, model last, 8 connections", 8, size=1_000_000, model_last=True, own_engine=True),
    Case("connect", "1 KB chat, a new connection each, 64 at a time", 64, close=True),
    Case("tls", "1 KB chat over TLS 1.3, 64 connections", 64, tls=True),
    Case("tls-connect", "1 KB chat, a new TLS 1.3 connection each, 64 at a time", 64, close=True, tls=True),
]


def measure(case, proxy, engine_ports, body_file, folder, seconds, placement=Placement(), load_cores=LOAD_CORE):
    """One round of one case through one proxy (None: straight to the engine)."""
    mode = ["close"] if case.close else []
    if case.tls:
        placement = replace(placement, tls=True)
    if proxy is None:
        warm_up(engine_ports[0])
        return speed(run_wrk(engine_ports[0], body_file, case.connections, seconds, *mode, cores=load_cores))
    with start_proxy(proxy, engine_ports, folder, placement) as program:
        program.wait_until_answering("POST", CHAT_PATH, chat_body(200))
        warm_up(program.port, case.tls)
        events = int(get(engine_ports[0], "/count")) if case.stream else 0
        before = program.processor_seconds()
        result = run_wrk(program.port, body_file, case.connections, seconds, *mode, cores=load_cores, tls=case.tls)
        after = program.processor_seconds()
        memory = {"memory_mb": program.memory_mb()}
        if not case.stream:
            return speed(result) | cost(before, after, result["requests"]) | memory
        events = int(get(engine_ports[0], "/count")) - events
        # No latency here: the time of a whole stream is the engine's.
        return {"per_s": events / result["seconds"], "errors": errors(result)} | cost(before, after, events) | memory


def errors(result):
    return result["errors"] + result["bad_statuses"]


def speed(result):
    per_s = result["requests"] / result["seconds"]
    return {"per_s": per_s, "errors": errors(result), "p50_us": result["p50_us"], "p99_us": result["p99_us"]}


def note_round(case, number, name, row):
    note(f"  {case} round {number + 1} {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items()))


def medians_of(rows):
    return {name: {key: statistics.median(row[key] for row in found) for key in found[0]} for name, found in rows.items()}


def run_case(case, proxies, rounds, seconds, folder):
    body_file = folder / f"{case.name}.json"
    body_file.write_bytes(chat_body(case.size, model_last=case.model_last, stream=case.stream))
    rows = {}
    engine, ports = (start_streaming_engine if case.own_engine else start_nginx_engine)(folder)
    with engine:
        for number in range(rounds):
            order = ([None] if case.direct else []) + proxies
            for proxy in order if number % 2 == 0 else reversed(order):
                name = proxy.name if proxy else DIRECT
                row = measure(case, proxy, ports, body_file, folder, seconds)
                rows.setdefault(name, []).append(row)
                note_round(case.name, number, name, row)
    medians = medians_of(rows)
    if case.direct:
        for name, row in medians.items():
            if name != DIRECT:
                row["added_us"] = row["p50_us"] - medians[DIRECT]["p50_us"]
    return {"title": case.title, "medians": medians, "rounds": rows}


def loop_cores(cores):
    """Where one loop, two loops, and engine with load run. Only with four cores has each of them its own."""
    return ("2", "2,3", "0,1") if cores >= 4 else ("0,1", "0,1", "0,1")


def run_loops(proxies, rounds, seconds, folder):
    """The case `chat` with one and with two loops (threads, workers).

    On two cores, which load and engine need too, requests per second cannot double. `two_to_one` is then worked out from the
    processor time of a request: two loops that had a core each would do twice as much, less what requests have become dearer.
    """
    one_core, two_cores, load_cores = loop_cores(os.cpu_count() or 1)
    estimated = one_core == two_cores
    case = Case("loops", "1 KB chat, 64 connections, two loops and one", 64)
    body_file = folder / "loops.json"
    body_file.write_bytes(chat_body(case.size))
    rows = {}
    engine, ports = start_nginx_engine(folder, load_cores)
    with engine:
        for number in range(rounds):
            for proxy in proxies if number % 2 == 0 else reversed(proxies):
                row = {}
                for label, placement in (("one", Placement(1, one_core)), ("two", Placement(2, two_cores))):
                    found = measure(case, proxy, ports, body_file, folder, seconds, placement, load_cores)
                    row |= {f"{label}_{key}": value for key, value in found.items()}
                rows.setdefault(proxy.name, []).append(row)
                note_round(case.name, number, proxy.name, row)
    medians = medians_of(rows)
    for row in medians.values():
        row["dearer"] = row["two_cpu_us"] / row["one_cpu_us"]
        row["two_to_one"] = 2 / row["dearer"] if estimated else row["two_per_s"] / row["one_per_s"]
    return {"title": case.title, "estimated": estimated, "medians": medians, "rounds": rows}


def run_memory(proxies, rounds, folder):
    """How much more memory a proxy has had at most after it forwarded one chat of 20 MB."""
    body, rows = chat_body(20_000_000, model_last=True), {}
    engine, ports = start_streaming_engine(folder)
    with engine:
        for proxy in proxies * rounds:
            with start_proxy(proxy, ports, folder) as program:
                program.wait_until_answering("POST", CHAT_PATH, chat_body(200))
                before = program.memory_mb("VmHWM")
                program.wait_until_answering("POST", CHAT_PATH, body)
                rows.setdefault(proxy.name, []).append({"extra_mb": program.memory_mb("VmHWM") - before})
    return {"title": "a 20 MB chat: extra resident memory", "medians": medians_of(rows), "rounds": rows}


def run_start(proxies, rounds, folder):
    """From the start of the program to its first answered chat."""
    rows = {}
    engine, ports = start_nginx_engine(folder)
    with engine:
        for proxy in proxies * rounds:
            begun = time.monotonic()
            with start_proxy(proxy, ports, folder) as program:
                program.wait_until_answering("POST", CHAT_PATH, chat_body(200), pause=0.001)
                rows.setdefault(proxy.name, []).append({"start_ms": (time.monotonic() - begun) * 1000})
    return {"title": "start to first answered request", "medians": medians_of(rows), "rounds": rows}
