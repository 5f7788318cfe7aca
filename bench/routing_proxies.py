"""The proxies before the fleet, with the settings that somebody who cares would choose for llama-servers.

What is a time in a configuration is divided by the scale: the proxies live in real time, the machines do not.
"""

import json

from programs import HERE, first_line, free_ports, temporary_paths
from routing_workloads import SLOTS

ROUTERS = HERE.parent / ".venv-routing"
STICKY_SECONDS, LONGEST_WAIT, STICK_TABLE = 180, 600, 1800
FOREVER = "1h"


class Proxy:
    settle_seconds = 0.6  # after its first answers, until it knows all machines

    def is_missing(self):
        return False


class Ours(Proxy):
    name = "llama-balancer"

    def __init__(self, binary, rule=None):
        """With its default rule, or with another one."""
        self.binary, self.rule = binary, rule
        if rule:
            self.name = f"{Ours.name}, {rule}"

    def version(self):
        return f"{Ours.name} {first_line(self.binary, '--version')}"

    def command(self, folder, port, engines, scale):
        configuration = folder / "server-list.json"
        configuration.write_text(json.dumps({
            "listen": {"host": "127.0.0.1", "port": port},
            "servers": {f"machine-{n}": {"url": f"http://127.0.0.1:{engine}"} for n, engine in enumerate(engines, 1)},
            "sticky": {"ttl": STICKY_SECONDS / scale},
            "queue": {"max-wait": LONGEST_WAIT / scale},
            "access-log": str(folder / "access.log"),
        } | ({"routing": {"rule": self.rule}} if self.rule else {}), indent=2))  # fmt: skip
        return [self.binary, "serve", "--config", configuration, "--threads", "1"]


class NginxRule(Proxy):
    """No limit for a machine: what is too much waits there. Connections are given up before the engine closes them."""

    def __init__(self, name, rule):
        self.name, self.rule = name, rule

    def version(self):
        return first_line("nginx", "-v").removeprefix("nginx version: ")

    def command(self, folder, port, engines, scale):
        configuration = folder / "nginx.conf"
        servers = " ".join(f"server 127.0.0.1:{engine} max_fails=0;" for engine in engines)
        configuration.write_text(
            f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n"
            f"events {{ worker_connections 4096; }}\nhttp {{\n    access_log off;\n{temporary_paths(folder)}"
            f"    upstream machines {{ {self.rule}; {servers} keepalive 32; keepalive_timeout 4s; }}\n"
            f"    server {{\n        listen 127.0.0.1:{port} backlog=4096;\n"
            "        client_max_body_size 0; client_body_buffer_size 2m; proxy_buffering off;\n"
            f"        proxy_read_timeout {FOREVER}; proxy_send_timeout {FOREVER};\n"
            '        location / { proxy_pass http://machines; proxy_http_version 1.1; proxy_set_header Connection ""; }\n'
            "    }\n}\n"
        )
        return ["nginx", "-c", configuration, "-p", folder]


class HAProxyRule(Proxy):
    """As many requests on a machine as it has slots; the others wait in HAProxy."""

    def __init__(self, name, sticks):
        self.name, self.sticks = name, sticks

    def version(self):
        return "HAProxy " + first_line("haproxy", "-v").split()[2]

    def command(self, folder, port, engines, scale):
        configuration = folder / "haproxy.cfg"
        servers = "".join(f"    server machine-{e} 127.0.0.1:{e} maxconn {SLOTS}\n" for e in engines)
        table = f"    stick-table type ip size 10k expire {STICK_TABLE * 1000 / scale:.0f}ms\n    stick on src\n"
        configuration.write_text(
            "global\n    nbthread 1\n    maxconn 4096\n"
            f"defaults\n    mode http\n    timeout connect 5s\n    timeout client {FOREVER}\n    timeout server {FOREVER}\n"
            f"    timeout queue {FOREVER}\n    option http-no-delay\n    option redispatch\n"
            f"frontend clients\n    bind 127.0.0.1:{port} backlog 4096\n    default_backend machines\n"
            f"backend machines\n    balance leastconn\n{table if self.sticks else ''}{servers}"
        )
        return ["haproxy", "-db", "-f", configuration]


class Router(Proxy):
    """A router of the big engines, from PyPI, with its own defaults: `cache_aware`, or another policy."""

    settle_seconds = 1.5

    def __init__(self, name, command, policy="cache_aware", options=()):
        self.name, self.start, self.policy, self.options = name, command, policy, options

    @property
    def binary(self):
        return ROUTERS / self.start[0] / "bin" / self.start[0]

    def is_missing(self):
        return not self.binary.exists()

    def version(self):
        [folder] = (ROUTERS / self.start[0]).glob(f"lib/*/site-packages/{self.start[0].replace('-', '_')}-*.dist-info")
        return f"{self.start[0]} {folder.name.removesuffix('.dist-info').rpartition('-')[2]}"

    def command(self, folder, port, engines, scale):
        [prometheus] = free_ports(1)
        urls = [f"http://127.0.0.1:{engine}" for engine in engines]
        return [
            self.binary, *self.start[1:], "--host", "127.0.0.1", "--port", port, "--prometheus-host", "127.0.0.1",
            "--prometheus-port", prometheus, "--policy", self.policy, "--log-level", "error", *self.options,
            "--worker-urls", *urls,
        ]  # fmt: skip


def proxies(binary, peers):
    """All that are to be compared, ours first. `peers`: usual (nginx and HAProxy), all, or none."""
    usual = [
        NginxRule("nginx least_conn", "least_conn"),
        NginxRule("nginx hash", "hash $remote_addr consistent"),
        HAProxyRule("HAProxy leastconn", sticks=False),
        HAProxyRule("HAProxy stick", sticks=True),
    ]
    routers = [
        Router("SMG", ["smg", "launch"], options=["--disable-tokenizer-autoload"]),
        Router("SGLang", ["sglang-router", "launch"], options=["--max-concurrent-requests", "-1"]),
        Router("vLLM", ["vllm-router"]),
    ]
    return [Ours(binary)] + {"none": [], "usual": usual, "all": usual + routers}[peers]
