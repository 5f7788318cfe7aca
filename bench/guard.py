#!/usr/bin/env python3
"""Does a request still cost what it did? Instructions and allocations, counted by valgrind's callgrind.

No clock is involved: the counts are the same however busy the machine is, to within a few per cent (timers go on meanwhile).

Fails when a count is more than a tenth above bench/thresholds.json. The last line is "N passed, N failed".

    guard.py [--binary llama-balancer] [--update]      --update: the counts of this run become the thresholds
"""

import argparse
import http.client
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from load import chat_body
from programs import (
    BALANCER_BINARY,
    CHAT_PATH,
    HERE,
    LOAD_CORE,
    Balancer,
    Placement,
    Program,
    free_ports,
    start_streaming_engine,
)

THRESHOLDS = HERE / "thresholds.json"
MARGIN = 0.10
# A tenth of next to nothing is nothing, and timers allocate too: half an allocation may be added to any count of them.
ALLOCATION_MARGIN = 0.5
# Before anything is counted: the log of decisions has to be full, else its growth would count.
WARM_UP = 1500
EVENTS = 200  # of a stream, engine.py's default
ALLOCATORS = re.compile(r"(malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc)('\d+)?$")


class Client:
    """Requests one after the other."""

    def __init__(self, port):
        self.port = port
        self.kept = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, connection, body, headers=None):
        connection.request("POST", CHAT_PATH, body, {"Content-Type": "application/json"} | (headers or {}))
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise SystemExit(f"guard: {response.status} instead of 200")

    def on_kept(self, body):
        self.ask(self.kept, body)

    def on_new(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.ask(connection, body, {"Connection": "close"})
        connection.close()


# Name, what one of it is, a request, how many requests, units in each.
CASES = [
    ("chat", "1 KB chat on a kept connection", lambda client: client.on_kept(chat_body(1024)), 2000, 1),
    ("connect", "1 KB chat on a connection of its own", lambda client: client.on_new(chat_body(1024)), 1000, 1),
    ("body-100k", "100 KB chat", lambda client: client.on_kept(chat_body(100_000)), 300, 1),
    ("event", "event of a stream", lambda client: client.on_kept(chat_body(200, stream=True)), 15, EVENTS),
]


class Callgrind:
    """The balancer under valgrind, whose counters can be read and set back while it runs."""

    def __init__(self, binary, engines, folder):
        self.folder, self.dumps = folder, 0
        [port] = free_ports(1)
        balancer = Balancer(binary, settings={"health": {"interval": "60s"}})
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/counts"]
        command += balancer.command(folder, port, engines, Placement())
        # Else the order of a dictionary, and with it the counts, would differ from run to run.
        os.environ["SWIFT_DETERMINISTIC_HASHING"] = "1"
        self.program = Program("valgrind", command, LOAD_CORE, port, folder)

    def dump(self):
        """What has been counted since the last dump: instructions, allocations."""
        subprocess.run(["callgrind_control", "--dump", str(self.program.popen.pid)], check=True, capture_output=True)
        self.dumps += 1
        path = self.folder / f"counts.{self.dumps}"
        deadline = time.monotonic() + 60
        while not (path.exists() and (found := counts(path.read_text(errors="replace")))):
            if time.monotonic() > deadline:
                raise SystemExit(f"guard: callgrind wrote no counts; its log:\n{self.program.log.read_text()}")
            time.sleep(0.05)
        return found


def counts(text):
    """Instructions and calls of allocating functions in callgrind's output; None while that is not complete."""
    total = re.search(r"^totals: (\d+)", text, re.M)
    if not total:
        return None
    names, allocations, callee = {}, 0, None
    for line in text.splitlines():
        if named := re.match(r"c?fn=(\(\d+\))(?: (.*))?", line):
            if named[2]:
                names[named[1]] = named[2]
            if line.startswith("c"):
                callee = names.get(named[1], "")
        elif line.startswith("calls=") and callee and ALLOCATORS.match(callee):
            allocations += int(line.removeprefix("calls=").split()[0])
    return int(total[1]), allocations


def measure(binary):
    measured = {}
    with tempfile.TemporaryDirectory(prefix="llama-balancer-guard-") as name:
        folder = Path(name)
        engine, ports = start_streaming_engine(folder, "--period-ms", "1")
        with engine:
            callgrind = Callgrind(binary, ports, folder)
            with callgrind.program as program:
                program.wait_until_answering(within=120)
                client = Client(program.port)
                for _ in range(WARM_UP):
                    client.on_kept(chat_body(200))
                for case, _, ask, requests, units in CASES:
                    for _ in range(max(2, requests // 10)):
                        ask(client)
                    callgrind.dump()
                    for _ in range(requests):
                        ask(client)
                    instructions, allocations = callgrind.dump()
                    measured[case] = {
                        "instructions": round(instructions / requests / units),
                        "allocations": round(allocations / requests / units, 2),
                    }
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=BALANCER_BINARY)
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    measured = measure(str(Path(arguments.binary).resolve()))
    if arguments.update:
        THRESHOLDS.write_text(json.dumps(measured, indent=2) + "\n")
    thresholds = json.loads(THRESHOLDS.read_text())
    passed = failed = 0
    for case, title, *_ in CASES:
        for unit, value in measured[case].items():
            known = thresholds[case][unit]
            margin = max(known * MARGIN, ALLOCATION_MARGIN if unit == "allocations" else 0)
            good = value <= known + margin
            passed, failed = passed + good, failed + (not good)
            verdict = "ok" if good else "TOO MANY: make it cheaper, or say in the change why not (bench/guard.py --update)"
            print(f"{title}: {value:,} {unit}, threshold {known:,} + {margin:,.2f}: {verdict}")
    print(f"{passed} passed, {failed} failed")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
