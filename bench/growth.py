#!/usr/bin/env python3
"""What does growth cost? llama-balancer with more and more servers, and with more and more sessions; 64 connections, one loop.

Servers: all of them serve the same model. Measured with one known client, who stays where its cache is, and with 1,000 clients
in turn, of whom hardly one is known any more when its turn comes again (one server's model has one holder), so that a place is
chosen among all servers for each request.

Sessions: one server, and as many clients as there are to be sessions, each with a model of its own, since one server's model
has one holder. The server tells no list of models, so that every name is served there without a pattern to match. All clients
send once (not measured); then they take turns. How many sessions there really are is asked of /metrics (with the one that
warmed up): the balancer forgets the oldest when there are too many.

Health probes go out every 5 s instead of every second, so that 512 of them each time do not count for much.

    growth.py [--binary llama-balancer] [--decisions FILE] [--json FILE] [--graphs FOLDER]
"""

import argparse
import datetime
import json
import os
import re
import tempfile
from pathlib import Path

from cases import medians_of, note_round
from graph import Series, line_graph
from load import chat_body, cost, get, note, run_wrk, warm_up
from programs import BALANCER_BINARY, CHAT_PATH, Balancer, raise_file_limit, start_nginx_engine, start_proxy
from report import machine, table

CONNECTIONS = 64
TURN_TAKERS = 1000
FEW_PROBES = {"health": {"interval": "5s"}}
ANY_MODEL = {"models": None, "sticky": {"ttl": "1h"}}


def measure(program, body_file, seconds, *mode):
    before = program.processor_seconds()
    result = run_wrk(program.port, body_file, CONNECTIONS, seconds, *mode)
    after = program.processor_seconds()
    row = {"per_s": result["requests"] / result["seconds"], "errors": result["errors"] + result["bad_statuses"]}
    return row | cost(before, after, result["requests"]) | {"memory_mb": program.memory_mb()}


def started(balancer, ports, folder):
    program = start_proxy(balancer, ports, folder)
    program.wait_until_answering("POST", CHAT_PATH, chat_body(200))
    warm_up(program.port)
    return program


def grow_servers(binary, counts, rounds, seconds, folder):
    """For each number of servers, figures with a known client and with unknown ones."""
    balancer = Balancer(binary, settings=FEW_PROBES)
    body_file = folder / "chat.json"
    body_file.write_bytes(chat_body(1024))
    rows = {"known": {}, "unknown": {}}
    for number in range(rounds):
        for count in counts:
            engine, ports = start_nginx_engine(folder, ports=count)
            with engine:
                for kind, mode in (("known", ()), ("unknown", ("rotate", TURN_TAKERS, 0))):
                    with started(balancer, ports, folder) as program:
                        row = measure(program, body_file, seconds, *mode)
                    rows[kind].setdefault(count, []).append(row)
                    note_round(f"{count:,} servers, {kind} client", number, balancer.name, row)
    return {kind: {"medians": medians_of(found), "rounds": found} for kind, found in rows.items()}


def fill(program, clients, body_file):
    """Lets every client send one request."""
    sent = 0
    while sent < clients:
        sent += run_wrk(program.port, body_file, CONNECTIONS, 1, "rotate", clients, sent)["requests"]
        sent -= CONNECTIONS if sent < clients else 0  # those in flight at the end may not have arrived


def sessions_held(port):
    return int(float(re.search(r"^llama_balancer_sticky_entries (\S+)", get(port, "/metrics"), re.MULTILINE)[1]))


def grow_sessions(binary, counts, rounds, seconds, folder):
    """For each number of clients, figures while all of them take turns, and how many sessions there were in truth."""
    balancer = Balancer(binary, settings=FEW_PROBES | ANY_MODEL)
    body_file = folder / "turns.json"
    body_file.write_bytes(chat_body(1024, model="bench-0000000"))
    rows = {}
    engine, ports = start_nginx_engine(folder, ports=1, models="{}")
    with engine:
        for count in counts:
            with started(balancer, ports, folder) as program:
                fill(program, count, body_file)
                turn = 0
                for number in range(rounds):
                    row = measure(program, body_file, seconds, "rotate", count, turn)
                    turn += round(row["per_s"] * seconds)
                    row["held"] = sessions_held(program.port)
                    rows.setdefault(count, []).append(row)
                    note_round(f"{count:,} sessions", number, balancer.name, row)
            (folder / "access.log").unlink(missing_ok=True)
    return {"medians": medians_of(rows), "rounds": rows}


def draw(folder, servers, sessions, decisions):
    """A graph for each question; those of decisions only where decision times were given."""

    def points(result, key):
        return [(count, row[key]) for count, row in result["medians"].items()]

    def times(name):
        return [(int(count), nanoseconds) for count, nanoseconds in decisions.get(name, {}).items()]

    clients = "clients"
    held = [(count, row["held"]) for count, row in sessions["medians"].items()]
    if held and held[-1][1] < held[-1][0]:
        clients += f", of which at most {held[-1][1]:,.0f} are remembered"
    by_kind = [
        Series("known client", points(servers["known"], "per_s")),
        Series("unknown clients", points(servers["unknown"], "per_s")),
    ]
    graphs = {
        "servers-requests": ("Requests through more servers", "servers", "requests/s", by_kind),
        "sessions-requests": ("Requests of more clients", clients, "requests/s", [Series("", points(sessions, "per_s"))]),
        "sessions-memory": ("Memory for more clients", clients, "MB", [Series("", points(sessions, "memory_mb"))]),
        "servers-decision": ("One decision among more servers", "servers", "ns", [Series("", times("servers"))]),
        "sessions-decision": ("One decision beside more sessions", "sessions", "ns", [Series("", times("sessions"))]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (title, x_label, y_label, series) in graphs.items():
        if all(one.points for one in series):
            (folder / f"{name}.svg").write_text(line_graph(title, x_label, y_label, series))
        else:
            note(f"  no {name}.svg: no figures for it")


def report(servers, sessions, version):
    print(f"{datetime.date.today()} · {version} · {machine()}\n")

    def cells(row):
        return [f"{row['cpu_us']:.1f}", f"{row['per_s']:,.0f}", f"{row['memory_mb']:.0f}", f"{row['errors']:.0f}"]

    headings = ["µs processor / request", "requests/s", "RSS MB", "errors"]
    for kind, result in servers.items():
        if rows := [[f"{count:,}", *cells(row)] for count, row in result["medians"].items()]:
            print(f"### Servers, {kind} client\n\n" + table(["servers", *headings], rows))
    if rows := [[f"{count:,}", f"{row['held']:,.0f}", *cells(row)] for count, row in sessions["medians"].items()]:
        print("### Sessions\n\n" + table(["clients", "sessions held", *headings], rows))


def numbers(text):
    return [int(float(part)) for part in text.split(",") if part]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=BALANCER_BINARY)
    parser.add_argument("--servers", type=numbers, default="1,8,64,512", help="how many; empty: none of this")
    parser.add_argument("--sessions", type=numbers, default="10,1e4,1e5,1e6", help="how many; empty: none of this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    decisions = 'times of one decision in ns, measured elsewhere: {"servers": {"1": 120, …}, "sessions": {"10": …, …}}'
    parser.add_argument("--decisions", metavar="FILE", help=decisions)
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there")
    parser.add_argument("--graphs", metavar="FOLDER", type=Path, help="draw them as SVG there")
    arguments = parser.parse_args()
    if not os.access(arguments.binary, os.X_OK):
        parser.error(f"no llama-balancer at {arguments.binary}: make release, or name it with --binary")
    decisions = json.loads(Path(arguments.decisions).read_text()) if arguments.decisions else {}

    raise_file_limit()
    binary = str(Path(arguments.binary).resolve())
    with tempfile.TemporaryDirectory(prefix="llama-balancer-growth-") as name:
        os.chmod(name, 0o755)  # nginx's worker is another user when we are root
        often = arguments.rounds, arguments.seconds, Path(name)
        servers = grow_servers(binary, arguments.servers, *often)
        sessions = grow_sessions(binary, arguments.sessions, *often)
    version = Balancer(binary).version()
    report(servers, sessions, version)
    if arguments.graphs:
        draw(arguments.graphs, servers, sessions, decisions)
    if arguments.json:
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        record = {"date": now, "version": version, "servers": servers, "sessions": sessions, "decisions": decisions}
        Path(arguments.json).write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
