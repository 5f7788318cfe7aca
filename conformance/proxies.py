"""How each proxy is started in front of its engines, and what it cannot do by its nature. A new one is a class here."""

import json
import shlex
import signal

import peers
from support.client import ask
from support.proxy import Proxy
from support.waiting import eventually


class LlamaBalancer(Proxy):
    name = program = "llama-balancer"
    queue = keep_alive_comments = body_limit = reload = administration = connection_limit = few_descriptors = True
    model_lists = ownership = constant_prompts = early_streams = True
    own_page = "/llmhealth-monitor/dashboard.js"

    def configuration(self, port, engine_ports, settings):
        more = {"request-max": settings["request_max"]} if "request_max" in settings else {}
        servers = {name: {"url": f"http://127.0.0.1:{engine}"} | more for name, engine in zip("AB", engine_ports)}
        limits = {key.removeprefix("limits_").replace("_", "-"): value for key, value in settings.items() if key.startswith("limits_")}
        whole = {"listen": {"host": "127.0.0.1", "port": port}, "servers": servers, "limits": limits, "shutdown-grace": "20s"}
        return whole | ({"keep-alive-comments": settings["keep_alive"]} if "keep_alive" in settings else {})

    def command(self, folder, port, engine_ports, settings):
        self.write(folder, self.configuration(port, engine_ports, settings))
        return [self.binary, "--config", folder / "server-list.json"]

    def write(self, folder, configuration):
        draft = folder / "draft"
        draft.write_text(json.dumps(configuration))
        draft.rename(folder / "server-list.json")

    def wait_until_ready(self, stage):
        def states():
            return [b["state"] for b in ask(stage.port, "GET", "/llmhealth-snapshot").json()["backends"]]

        eventually("all engines are up", states, lambda seen: set(seen) == {"up"}, within=10)

    def in_flight(self, stage):
        seen = ask(stage.port, "GET", "/llmhealth-snapshot").json()
        return sum(b["total_inflight"] for b in seen["backends"]), seen["waiting"]["count"]

    def change_configuration(self, stage):
        ports = [engine.port for engine in stage.engines]
        self.write(stage.folder, self.configuration(stage.port, ports, stage.settings) | {"sticky": {"ttl": "2m"}})


class Nginx(Proxy):
    name = program = "nginx"
    version_words = ["-v"]
    body_limit = reload = True
    stops_gracefully_by = signal.SIGQUIT

    def command(self, folder, port, engine_ports, settings):
        engines = "".join(f"server 127.0.0.1:{engine} max_fails=3 fail_timeout=2s;" for engine in engine_ports)
        limit = settings.get("limits_body", "256MB").replace("KB", "k").replace("MB", "m")
        (folder / "nginx.conf").write_text(f"""
            daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{ worker_connections 4096; }}
            http {{
                access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
                uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_header_timeout 10s; client_max_body_size {limit};
                map $http_upgrade $connection_out {{ default upgrade; '' ''; }}
                upstream engines {{ least_conn; {engines} keepalive 128; keepalive_timeout 4s; }}
                server {{
                    listen 127.0.0.1:{port};
                    location / {{
                        proxy_pass http://engines; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
                        proxy_set_header Connection $connection_out; proxy_set_header Upgrade $http_upgrade;
                        proxy_pass_header X-Accel-Buffering;
                        proxy_connect_timeout 5s; proxy_read_timeout 3600s; proxy_send_timeout 3600s;
                        proxy_next_upstream error timeout http_500 http_502 http_503 http_504 http_429 non_idempotent;
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
    version_words = ["-v"]
    queue = reload = True
    body_limit = "has no limit for bodies"
    stops_gracefully_by = signal.SIGUSR1
    reloads_by = signal.SIGUSR2

    def command(self, folder, port, engine_ports, settings):
        limit = f" maxconn {settings['request_max']}" if "request_max" in settings else ""
        engines = "\n".join(f" server e{number} 127.0.0.1:{engine}{limit}" for number, engine in enumerate(engine_ports))
        (folder / "haproxy.cfg").write_text(f"""
global
 nbthread 1
 maxconn 4096
 hard-stop-after 20s
defaults
 mode http
 option http-no-delay
 option redispatch 1
 option abortonclose
 http-reuse always
 retries 3
 retry-on all-retryable-errors
 timeout connect 5s
 timeout client 1h
 timeout server 1h
 timeout queue 10m
 timeout tunnel 1h
 timeout http-request 10s
 default-server check inter 1s fall 2 rise 1 pool-purge-delay 4s on-marked-down shutdown-sessions
frontend f
 bind 127.0.0.1:{port}
 default_backend b
backend b
 balance leastconn
 option httpchk GET /health
{engines}
""")
        return [self.binary, "-W", "-f", folder / "haproxy.cfg"]

    def change_configuration(self, stage):
        file = stage.folder / "haproxy.cfg"
        file.write_text(file.read_text().replace("balance leastconn", "balance roundrobin"))


class Other(Proxy):
    """Any other, by its command."""

    def __init__(self, start, name=None):
        self.start_command = start
        self.name = name or start.split()[0].rsplit("/", 1)[-1]

    def version(self):
        return ""

    def command(self, folder, port, engine_ports, settings):
        urls = {f"engine{n}": f"http://127.0.0.1:{engine}" for n, engine in enumerate(engine_ports, 1)}
        urls.setdefault("engine2", urls["engine1"])  # some checks have one engine
        return [word.format(port=port, **urls) for word in shlex.split(self.start_command)]


KNOWN = {proxy.name.lower(): proxy for proxy in (LlamaBalancer, Nginx, HAProxy, *peers.ALL)}
