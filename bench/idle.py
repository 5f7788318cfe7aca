"""The case `idle-streams`: very many open streams with an event now and then, as a crowd of readers of slow models has."""

import json
import subprocess
import sys
import time
from pathlib import Path

from cases import medians_of, note_round
from load import chat_body, cost, note, warm_up
from programs import CHAT_PATH, HERE, LOAD_CORE, Placement, raise_file_limit, start_proxy, start_streaming_engine

PERIOD = 5  # seconds between two events of one stream
GROUPS = 500  # the engine serves a five-hundredth of the streams every 10 ms
SETTLE = 2  # seconds between the last opened stream and the measurement
SPARE_FILES = 200  # of a proxy: what it opens beside the two connections of every stream


def most_streams():
    """As many as the limits of this machine allow a proxy: two files for each, and a port of ours to one port of the engine."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return min((raise_file_limit() - SPARE_FILES) // 2, (high - low) * 9 // 10)


class Holder:
    """holder.py, which holds the streams open and tells their number."""

    def __init__(self, port, streams, body_file):
        command = ["taskset", "--cpu-list", LOAD_CORE, sys.executable, HERE / "holder.py", port, streams, body_file]
        self.popen = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()  # the kernel closes its connections
        self.popen.communicate()

    def status(self):
        """Waits, the first time, until all streams are open."""
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        return json.loads(self.popen.stdout.readline())


def hold(proxy, engine_ports, streams, seconds, body_file, folder):
    """One round: memory before and with all streams open, processor time while they are held."""
    with start_proxy(proxy, engine_ports, folder, Placement(connections=streams + 50)) as program:
        program.wait_until_answering("POST", CHAT_PATH, chat_body(200))
        warm_up(program.port)
        memory = program.memory_mb()
        begun = time.monotonic()
        with Holder(program.port, streams, body_file) as holder:
            holder.status()
            opening = time.monotonic() - begun
            time.sleep(SETTLE)
            before, events = program.processor_seconds(), holder.status()["events"]
            time.sleep(seconds)
            after, status = program.processor_seconds(), holder.status()
            opened, memory = status["open"], program.memory_mb() - memory
        events = status["events"] - events
        row = {"streams": opened, "errors": streams - opened, "open_s": opening, "per_s": events / seconds}
        row["kb_per_stream"] = memory * 1024 / max(1, opened)
        row["stream_second_us"] = cost(before, after, opened * seconds)["cpu_us"]
        return row | cost(before, after, events)


def run_idle_streams(proxies, streams, rounds, seconds, folder):
    if streams > most_streams():
        note(f"  idle-streams: {most_streams():,} streams instead of {streams:,}: open files or ports do not allow more here")
        streams = most_streams()
    body_file = folder / "idle-streams.json"
    body_file.write_bytes(chat_body(1024, stream=True))
    rows = {}
    for number in range(rounds):
        for proxy in proxies if number % 2 == 0 else reversed(proxies):
            # An engine each: the last streams of the proxy before are then surely gone.
            options = ("--events", 1_000_000_000, "--period-ms", PERIOD * 1000, "--groups", GROUPS)
            engine, ports = start_streaming_engine(folder, *options)
            with engine:
                row = hold(proxy, ports, streams, seconds, body_file, folder)
            rows.setdefault(proxy.name, []).append(row)
            note_round("idle-streams", number, proxy.name, row)
    title = f"{streams:,} streams, an event every {PERIOD} s each"
    return {"title": title, "medians": medians_of(rows), "rounds": rows}
