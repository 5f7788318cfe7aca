"""More proxies: Envoy, Caddy, Traefik, and the Rust routers of vLLM and SGLang."""

import json
import signal
import threading
from pathlib import Path

from support.client import ask
from support.process import free_port
from support.proxy import Proxy, said_by

FIELDS_LOST = "drops request fields that it does not know, so the fake engine cannot be told what to do"


class Envoy(Proxy):
    name = "Envoy"
    program = "envoy"

    def version(self):
        return said_by(self.binary, "--version", pattern=r"(?<=/)\d+\.\d+\.\d+")

    def command(self, folder, port, engine_ports, settings):
        def address(port):
            return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

        def typed(name, type, **more):
            return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{type}", **more}}

        route = {
            "cluster": "engines", "timeout": "0s",
            "retry_policy": {
                "retry_on": "connect-failure,reset,retriable-status-codes", "num_retries": 2,
                "host_selection_retry_max_attempts": 5, "retriable_status_codes": [429, 500, 502, 503, 504, 507, 529],
                "retry_host_predicate": [
                    typed("envoy.retry_host_predicates.previous_hosts", "retry.host.previous_hosts.v3.PreviousHostsPredicate")
                ],
            },
        }  # fmt: skip
        manager = typed(
            "envoy.filters.network.http_connection_manager",
            "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="in", stream_idle_timeout="0s",
            request_headers_timeout="10s", upgrade_configs=[{"upgrade_type": "websocket"}],
            http_protocol_options={"accept_http_10": True, "default_host_for_http_10": "engines"},
            route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}]},
            http_filters=[typed("envoy.filters.http.router", "filters.http.router.v3.Router")],
        )  # fmt: skip
        many = {"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000, "max_retries": 1000}
        cluster = {
            "name": "engines", "type": "STATIC", "connect_timeout": "5s", "circuit_breakers": {"thresholds": [many]},
            "load_balancing_policy": {"policies": [{"typed_extension_config": typed(
                "envoy.load_balancing_policies.least_request", "load_balancing_policies.least_request.v3.LeastRequest",
                selection_method="FULL_SCAN",
            )}]},
            "close_connections_on_host_health_failure": True, "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
            "outlier_detection": {
                "consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "5s", "max_ejection_percent": 50
            },
            "load_assignment": {
                "cluster_name": "engines",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(engine)}} for engine in engine_ports]}],
            },
            "health_checks": [{
                "timeout": "2s", "interval": "1s", "no_traffic_interval": "1s", "unhealthy_threshold": 2, "healthy_threshold": 1,
                "http_health_check": {"path": "/health"},
            }],
        }  # fmt: skip
        listener = {"address": address(port), "filter_chains": [{"filters": [manager]}]}
        admin = free_port()
        (folder / "admin").write_text(str(admin))
        whole = {"admin": {"address": address(admin)}, "static_resources": {"listeners": [listener], "clusters": [cluster]}}
        (folder / "envoy.json").write_text(json.dumps(whole))
        return [
            self.binary, "-c", folder / "envoy.json", "--concurrency", 1, "--disable-hot-restart", "--log-level", "error",
            "--drain-time-s", 5,
        ]  # fmt: skip

    def ask_to_stop(self, stage):
        """SIGTERM is the fast way out; a graceful end begins at the administration port, and SIGTERM comes when that has drained."""
        ask(int((stage.folder / "admin").read_text()), "POST", "/drain_listeners?graceful")
        threading.Timer(6, lambda: stage.process.has_ended() or stage.process.signal(signal.SIGTERM)).start()


class Caddy(Proxy):
    name = "Caddy"
    program = "caddy"
    version_words = ["version"]
    body_limit = True

    def command(self, folder, port, engine_ports, settings):
        engines = " ".join(f"127.0.0.1:{engine}" for engine in engine_ports)
        limit = f"request_body {{\n        max_size {settings['limits_body']}\n    }}" if "limits_body" in settings else ""
        # Without request_buffers a second try has no body left to send.
        (folder / "Caddyfile").write_text(f"""{{
    admin off
    auto_https off
    servers {{
        timeouts {{
            read_header 10s
        }}
    }}
}}
http://:{port} {{
    bind 127.0.0.1
    {limit}
    reverse_proxy {engines} {{
        lb_policy least_conn
        lb_retries 3
        lb_try_duration 8s
        lb_try_interval 20ms
        lb_retry_match {{
            method GET POST
        }}
        lb_retry_match {{
            expression `{{rp.status_code}} in [429, 500, 502, 503, 504, 507, 529]`
        }}
        request_buffers 4MiB
        flush_interval -1
        fail_duration 2s
        max_fails 3
        unhealthy_status 429 5xx
        health_uri /health
        health_interval 1s
        health_timeout 2s
        health_fails 2
        transport http {{
            compression off
        }}
    }}
}}
""")
        return [self.binary, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]


class Traefik(Proxy):
    name = "Traefik"
    program = "traefik"
    version_words = ["version"]

    def command(self, folder, port, engine_ports, settings):
        servers = "".join(f"\n          - url: http://127.0.0.1:{engine}" for engine in engine_ports)
        (folder / "routes.yaml").write_text(f"""
http:
  routers:
    all: {{ rule: "PathPrefix(`/`)", service: engines, middlewares: [again], entryPoints: [web] }}
  middlewares:
    again: {{ retry: {{ attempts: 10, status: ["429", "500-599"], retryNonIdempotentMethod: true }} }}
  services:
    engines:
      loadBalancer:
        strategy: p2c
        healthCheck: {{ path: /health, interval: 1s, timeout: 2s }}
        passiveHealthCheck: {{ failureWindow: 5s, maxFailedAttempts: 3 }}
        responseForwarding: {{ flushInterval: 1ms }}
        servers:{servers}
""")
        (folder / "traefik.yaml").write_text(f"""
entryPoints:
  web:
    address: 127.0.0.1:{port}
    transport: {{ respondingTimeouts: {{ readTimeout: 0s, writeTimeout: 0s, idleTimeout: 180s }}, lifeCycle: {{ graceTimeOut: 30s }} }}
providers: {{ file: {{ filename: {folder}/routes.yaml }} }}
global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
log: {{ level: ERROR }}
""")
        return [self.binary, f"--configFile={folder}/traefik.yaml"]


# Probes once a second instead of once a minute, and a short time until a server that failed is tried again.
COMMON = [
    "--health-check-interval-secs", 1, "--health-check-timeout-secs", 2, "--health-failure-threshold", 2,
    "--health-success-threshold", 1, "--cb-failure-threshold", 5, "--cb-success-threshold", 1, "--cb-timeout-duration-secs", 2,
    "--worker-startup-check-interval", 1, "--cors-allowed-origins", "http://page.example",
]  # fmt: skip


class RustRouter(Proxy):
    model_lists = ownership = True
    environment = {"TOKIO_WORKER_THREADS": "1"}
    passes_any_path = False
    leading = []
    more = ["--policy", "power_of_two"]

    def version(self):
        """Of its package: not every one of them tells."""
        python = Path(self.binary).with_name("python3")
        return said_by(python, "-c", f"import importlib.metadata as m; print(m.version('{self.program}'))")

    def settings(self, settings):
        return self.more

    def command(self, folder, port, engine_ports, settings):
        return [
            self.binary, *self.leading, "--host", "127.0.0.1", "--port", port, "--prometheus-host", "127.0.0.1",
            "--prometheus-port", free_port(), *COMMON, *self.settings(settings), *self.engines(engine_ports, settings),
        ]  # fmt: skip

    def engines(self, engine_ports, settings):
        return ["--worker-urls", *(f"http://127.0.0.1:{engine}" for engine in engine_ports)]


class VLLMRouter(RustRouter):
    name = program = "vllm-router"

    def engines(self, engine_ports, settings):
        return ["--enable-igw"] if "many_models" in settings else super().engines(engine_ports, settings)

    def start(self, folder, engine_ports, settings):
        """In its mode for several models it is told of its engines by requests."""
        process, port = super().start(folder, engine_ports, settings)
        if "many_models" in settings:
            for engine in engine_ports:
                ask(port, "POST", "/workers", body=json.dumps({"url": f"http://127.0.0.1:{engine}"}).encode())
        return process, port


class SGLangRouter(RustRouter):
    name = program = "sglang-router"
    model_lists = "loads a vocabulary from the Internet when it is started for several models, which was not possible here"
    passes_fields = FIELDS_LOST
    leading = ["launch"]
    more = ["--policy", "round_robin"]  # with power_of_two a second try is often the same server


class SMG(RustRouter):
    name = program = "smg"
    passes_fields = FIELDS_LOST
    leading = ["launch"]
    keep_alive_comments = True
    more = ["--policy", "power_of_two", "--power-of-two-load-metric", "least_requests", "--header-read-timeout-secs", 10,
            "--disable-tokenizer-autoload"]  # fmt: skip

    def settings(self, settings):
        return [*self.more, "--sse-keepalive-secs", settings.get("keep_alive", "0").removesuffix("s")]


ALL = (Envoy, Caddy, Traefik, VLLMRouter, SGLangRouter, SMG)
