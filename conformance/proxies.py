"""How each proxy is started in front of two engines, and what it cannot do by its nature. A new one is a class here."""

import json
import shutil
import signal
import subprocess

from support.client import ask, chat
from support.process import Process, free_port
from support.waiting import eventually


class Proxy:
    """What every proxy has. Features are True, or a text that says why not."""

    name = "?"
    passes_any_path = True
    queue = "has no waiting line for each engine that lets clients wait"
    keep_alive_comments = "does not speak inside streams"
    body_limit = "has no limit of its own, or none by default"
    reload = "is not reloaded by a signal"
    stops_gracefully_by = signal.SIGTERM
    reloads_by = signal.SIGHUP

    def __init__(self, binary=None):
        self.binary = binary or shutil.which(self.program)
        if not self.binary:
            raise SystemExit(f"{self.name}: no program {self.program}; install it, or name it with --binary")

    def version(self):
        seen = subprocess.run([self.binary, *self.version_arguments], capture_output=True, text=True)
        return (seen.stdout + seen.stderr).split("\n")[0].strip()

    def in_flight(self, stage):
        """(in flight, waiting), where the proxy tells."""
        return None

    in_flight = None

    def start(self, folder, engine_ports, settings):
        port = free_port()
        process = Process(self.name, self.command(folder, port, engine_ports, settings), folder)
        process.wait_until_listening(port)
        return process, port

    def wait_until_ready(self, stage):
        eventually("both engines are used", lambda: chat(stage.port, timeout=3).status, lambda status: status == 200, within=20)


class LlamaBalancer(Proxy):
    name = "llama-balancer"
    program = "llama-balancer"
    version_arguments = ["--version"]
    queue = keep_alive_comments = body_limit = reload = True

    def configuration(self, port, engine_ports, settings):
        servers = {
            name: {"url": f"http://127.0.0.1:{engine}"} | ({"request-max": settings["request_max"]} if "request_max" in settings else {})
            for name, engine in zip("AB", engine_ports)
        }
        limits = {key.removeprefix("limits_").replace("_", "-"): value for key, value in settings.items() if key.startswith("limits_")}
        whole = {"listen": {"host": "127.0.0.1", "port": port}, "servers": servers, "limits": limits, "shutdown-grace": "20s"}
        return whole | ({"keep-alive-comments": settings["keep_alive"]} if "keep_alive" in settings else {})

    def command(self, folder, port, engine_ports, settings):
        self.write(folder, self.configuration(port, engine_ports, settings))
        return [self.binary, "--config", folder / "server-list.json"]

    def write(self, folder, configuration):
        (folder / "server-list.json").write_text(json.dumps(configuration))

    def wait_until_ready(self, stage):
        def states():
            return [b["state"] for b in ask(stage.port, "GET", "/llmhealth-snapshot").json()["backends"]]

        eventually("both engines are up", states, lambda seen: seen == ["up"] * len(seen), within=10)

    def in_flight(self, stage):
        seen = ask(stage.port, "GET", "/llmhealth-snapshot").json()
        return sum(b["total_inflight"] for b in seen["backends"]), seen["waiting"]["count"]

    def change_configuration(self, stage):
        """Something harmless, so that a reload has something to do."""
        ports = [engine.port for engine in stage.engines]
        changed = self.configuration(stage.port, ports, stage.settings) | {"sticky": {"ttl": "2m"}}
        self.write(stage.folder, changed)


class Nginx(Proxy):
    name = "nginx"
    program = "nginx"
    version_arguments = ["-v"]
    body_limit = reload = True
    stops_gracefully_by = signal.SIGQUIT

    def command(self, folder, port, engine_ports, settings):
        engines = "".join(f"server 127.0.0.1:{engine} max_fails=1 fail_timeout=2s;" for engine in engine_ports)
        limit = settings.get("limits_body", "256MB").replace("KB", "k").replace("MB", "m")
        (folder / "nginx.conf").write_text(f"""
            daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{ worker_connections 4096; }}
            http {{
                access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
                uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_header_timeout 10s; client_max_body_size {limit};
                map $http_upgrade $connection_out {{ default upgrade; '' ''; }}
                upstream engines {{ {engines} keepalive 128; }}
                server {{
                    listen 127.0.0.1:{port};
                    location / {{
                        proxy_pass http://engines; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
                        proxy_set_header Connection $connection_out; proxy_set_header Upgrade $http_upgrade;
                        proxy_connect_timeout 5s; proxy_read_timeout 3600s; proxy_send_timeout 3600s;
                        proxy_next_upstream error timeout http_502 http_503 http_504 non_idempotent;
                    }}
                }}
            }}
        """)
        return [self.binary, "-c", folder / "nginx.conf", "-e", folder / "error.log", "-p", folder]

    def change_configuration(self, stage):
        file = stage.folder / "nginx.conf"
        file.write_text(file.read_text().replace("keepalive 128", "keepalive 64"))


class HAProxy(Proxy):
    name = "HAProxy"
    program = "haproxy"
    version_arguments = ["-v"]
    stops_gracefully_by = signal.SIGUSR1
    reload = True
    reloads_by = signal.SIGUSR2

    def command(self, folder, port, engine_ports, settings):
        engines = "\n".join(
            f" server e{number} 127.0.0.1:{engine} check inter 1s fall 2 rise 1" for number, engine in enumerate(engine_ports)
        )
        (folder / "haproxy.cfg").write_text(f"""
global
 nbthread 1
 maxconn 4096
 hard-stop-after 20s
defaults
 mode http
 option http-no-delay
 option redispatch
 option abortonclose
 http-reuse always
 retries 3
 retry-on all-retryable-errors
 timeout connect 5s
 timeout client 1h
 timeout server 1h
 timeout tunnel 1h
 timeout http-request 10s
frontend f
 bind 127.0.0.1:{port}
 default_backend b
backend b
 balance roundrobin
 option httpchk GET /health
{engines}
""")
        return [self.binary, "-W", "-f", folder / "haproxy.cfg"]

    def change_configuration(self, stage):
        file = stage.folder / "haproxy.cfg"
        file.write_text(file.read_text().replace("balance roundrobin", "balance leastconn"))


class Other(Proxy):
    """Any other, by its command."""

    program = ""
    version_arguments = []

    def __init__(self, start, name=None):
        self.start_command = start
        self.name = name or start.split()[0].rsplit("/", 1)[-1]

    def version(self):
        return ""

    def command(self, folder, port, engine_ports, settings):
        urls = {f"engine{n}": f"http://127.0.0.1:{engine}" for n, engine in enumerate(engine_ports, 1)}
        return [word.format(port=port, **urls) for word in self.start_command.split()]


class VLLMRouter(Proxy):
    name = "vllm-router"
    program = "vllm-router"
    version_arguments = ["--version"]
    passes_any_path = False
    leading = []

    def command(self, folder, port, engine_ports, settings):
        return [
            self.binary, *self.leading, "--host", "127.0.0.1", "--port", port, "--prometheus-host", "127.0.0.1",
            "--prometheus-port", free_port(), "--policy", "round_robin", "--worker-urls",
            *(f"http://127.0.0.1:{engine}" for engine in engine_ports),
        ]  # fmt: skip


class SGLangRouter(VLLMRouter):
    name = "sglang-router"
    program = "sglang-router"
    leading = ["launch"]


KNOWN = {proxy.name.lower(): proxy for proxy in (LlamaBalancer, Nginx, HAProxy, VLLMRouter, SGLangRouter)}
