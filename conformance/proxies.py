"""The proxies that can be checked: how each is configured for two engines, started, and what it cannot do.

A feature is True, or the reason why a check that needs it does not apply. Settings of checks: `request_max` (requests in flight
per engine), `keep_alive` (pause of signs of life), `body_limit` (bytes).
"""

import json
import os
import re
import shlex
import signal
import subprocess

from support.client import ask, chat
from support.process import Process, free_port
from support.waiting import NotApplicable, eventually


def said_by(*command, pattern=r"\d+\.\d+(\.\d+)?"):
    """The version in what a command says."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    found = re.search(pattern, result.stdout + result.stderr)
    return found[0] if found else "unknown"


class Proxy:
    name = program = ""
    settings = ()  # those of `settings` above that it knows
    health_interval = 1.0

    passes_any_path = True
    queue = "has no waiting line"
    signs_of_life = "says nothing of its own in a stream"
    own_errors = True
    reload = "cannot change its servers while it runs"
    accounts = "does not tell what is in flight"
    knows_http_only_engines = "does not know which engines speak WebSocket"
    body_limit = True
    in_flight = None
    drain_signal = signal.SIGTERM

    def __init__(self, binary=None):
        self.binary = os.path.abspath(binary) if binary and os.path.exists(binary) else binary or self.program

    def version(self):
        return said_by(self.binary, "--version")

    def start(self, folder, engines, settings):
        for key in settings:
            if key not in self.settings:
                raise NotApplicable(f"has no setting for {key.replace('_', ' ')}")
        port = free_port()
        command = self.command(folder, port, engines, settings)
        process = Process(self.name, command, folder, env=self.environment())
        process.wait_until_listening(port, within=60)
        return process, port

    def environment(self):
        return {}

    def wait_until_ready(self, stage):
        """It answers a chat, three times in a row."""
        in_a_row = []

        def answers():
            good = chat(stage.port, timeout=5).status == 200
            in_a_row[:] = [*in_a_row, good] if good else []
            return len(in_a_row) >= 3

        eventually(f"{self.name} answers; its log: {stage.process.log_tail()}", answers, within=60, every=0.1)

    def begin_drain(self, stage):
        stage.process.signal(self.drain_signal)


class LlamaBalancer(Proxy):
    name = program = "llama-balancer"
    settings = ("request_max", "keep_alive", "body_limit")
    queue = signs_of_life = reload = accounts = knows_http_only_engines = True

    def write(self, folder, port, engines, settings):
        server = {"request-max": settings["request_max"]} if "request_max" in settings else {}
        document = {
            "listen": {"host": "127.0.0.1", "port": port},
            "servers": {f"engine-{engine}": {"url": f"http://127.0.0.1:{engine}"} | server for engine in engines},
        }
        if "keep_alive" in settings:
            document["keep-alive-comments"] = settings["keep_alive"]
        if "body_limit" in settings:
            document["limits"] = {"body": settings["body_limit"]}
        file = folder / "server-list.json"
        draft = folder / "draft"
        draft.write_text(json.dumps(document))
        draft.rename(file)
        return file

    def command(self, folder, port, engines, settings):
        return [self.binary, "serve", "--config", self.write(folder, port, engines, settings)]

    def snapshot(self, stage):
        return ask(stage.port, "GET", "/llmhealth-snapshot", timeout=5).json()

    def wait_until_ready(self, stage):
        eventually(
            "all engines are up", lambda: [backend["state"] for backend in self.snapshot(stage)["backends"]],
            lambda seen: set(seen) == {"up"}, within=10,
        )  # fmt: skip
        super().wait_until_ready(stage)

    def in_flight(self, stage):
        """Requests in flight and waiting."""
        seen = self.snapshot(stage)
        return sum(backend["total_inflight"] for backend in seen["backends"]), seen["waiting"]["count"]

    def change_engines(self, stage, engines):
        self.write(stage.folder, stage.port, engines, stage.settings)
        stage.process.signal(signal.SIGHUP)


class Nginx(Proxy):
    name = program = "nginx"
    settings = ("body_limit",)
    reload = True
    drain_signal = signal.SIGQUIT  # SIGTERM is the fast way out

    def version(self):
        return said_by(self.binary, "-v")

    def write(self, folder, port, engines, settings):
        servers = " ".join(f"server 127.0.0.1:{engine} max_fails=2 fail_timeout=5s;" for engine in engines)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        file = folder / "nginx.conf"
        file.write_text(f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off; {" ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)}
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    upstream engines {{ {servers} keepalive 128; keepalive_timeout 4s; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        client_max_body_size {settings.get("body_limit", 256 << 20)}; client_header_timeout 10s;
        proxy_buffering off;
        proxy_connect_timeout 5s; proxy_read_timeout 1h; proxy_send_timeout 1h;
        proxy_next_upstream error timeout invalid_header http_502 http_503 http_504 non_idempotent;
        proxy_next_upstream_tries 3;
        location / {{
            proxy_pass http://engines; proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
""")
        return file

    def command(self, folder, port, engines, settings):
        return [self.binary, "-c", self.write(folder, port, engines, settings), "-p", folder]

    def change_engines(self, stage, engines):
        self.write(stage.folder, stage.port, engines, stage.settings)
        stage.process.signal(signal.SIGHUP)


class HAProxy(Proxy):
    name = program = "haproxy"
    settings = ("request_max",)
    queue = reload = True
    body_limit = "has no limit for bodies"
    drain_signal = signal.SIGUSR1  # SIGTERM is the fast way out

    def version(self):
        return said_by(self.binary, "-v")

    def write(self, folder, port, engines, settings):
        limit = f" maxconn {settings['request_max']}" if "request_max" in settings else ""
        servers = "".join(f"    server engine-{engine} 127.0.0.1:{engine} check{limit}\n" for engine in engines)
        file = folder / "haproxy.cfg"
        file.write_text(f"""
global
    maxconn 4096
    hard-stop-after 60s
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout queue 10m
    timeout tunnel 1h
    timeout http-request 10s
    timeout http-keep-alive 60s
    http-reuse always
    option http-no-delay
    option abortonclose
    option redispatch 1
    retries 3
    retry-on all-retryable-errors
    option httpchk GET /health
    default-server inter 1s fall 2 rise 1 pool-purge-delay 4s observe layer7 error-limit 5 on-error mark-down
frontend clients
    bind 127.0.0.1:{port} backlog 4096
    default_backend engines
backend engines
    balance roundrobin
{servers}""")
        return file

    def command(self, folder, port, engines, settings):
        return [self.binary, "-W", "-db", "-f", self.write(folder, port, engines, settings)]

    def change_engines(self, stage, engines):
        self.write(stage.folder, stage.port, engines, stage.settings)
        stage.process.signal(signal.SIGUSR2)


class Other(Proxy):
    """Any proxy, started with a command line."""

    settings = ()
    body_limit = "its body limit is not known here"

    def __init__(self, template, name=None):
        super().__init__()
        self.template = template
        self.name = name or os.path.basename(shlex.split(template)[0])

    def version(self):
        return ""

    def command(self, folder, port, engines, settings):
        named = {f"engine{number}": engine for number, engine in enumerate(engines, 1)}
        if len(engines) < 2:
            named["engine2"] = engines[0]
        return shlex.split(self.template.format(port=port, **named))


KNOWN = {kind.name: kind for kind in (LlamaBalancer, Nginx, HAProxy)}
