"""The programs of a benchmark: the engines, and the proxies to compare, each pinned to its cores."""

import http.client
import json
import os
import random
import re
import resource
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHAT_PATH = "/v1/chat/completions"
LOAD_CORE, PROXY_CORE = "0", "1"
BEFORE = "before"  # another build of llama-balancer, measured beside the present one
CERTIFICATE, PRIVATE_KEY = (HERE.parent / f"Tests/Certificates/engine{suffix}.pem" for suffix in ("", "-key"))
CIPHER_SUITE = "TLS_AES_256_GCM_SHA384"  # what wrk asks for first, and all three take
BALANCER_BINARY = os.environ.get("LLAMA_BALANCER", str(HERE.parent / ".build/release/llama-balancer"))

# What a chat answer of a real engine weighs: about 680 bytes.
ANSWER = json.dumps({
    "id": "chatcmpl-bench", "object": "chat.completion", "created": 1, "model": "bench-model",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "lorem ipsum " * 28}}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 80, "total_tokens": 280},
})  # fmt: skip
MODELS = json.dumps({"object": "list", "data": [{"id": "bench-model", "object": "model"}]})


@dataclass(frozen=True)
class Placement:
    """How a proxy runs: so many workers (nginx) or threads, on these cores, ready for so many clients.

    More clients than all cases but one have: HAProxy closes idle connections to engines once a quarter of its files is in use.
    """

    workers: int = 1
    cores: str = PROXY_CORE
    connections: int = 6000
    tls: bool = False  # for the clients: TLS 1.3, one cipher suite for all


def raise_file_limit():
    """As many open files as we may have, for us and for every program started from here; returns that number."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def free_ports(count):
    """Below the range from which the kernel takes ports for outgoing connections, of which a benchmark makes ten thousands."""
    ports = set()
    while len(ports) < count:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                ports.add(port)
            except OSError:
                continue
    return sorted(ports)


def first_line(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    return (result.stdout or result.stderr).strip().splitlines()[0]


def connect(port, tls=False):
    if tls:
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=ssl._create_unverified_context())
    return http.client.HTTPConnection("127.0.0.1", port, timeout=5)


class Program:
    """A running program, pinned to cores, with what /proc says about it and its children."""

    def __init__(self, name, command, cores, port, folder, tls=False):
        self.name, self.port, self.tls = name, port, tls
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            command = ["taskset", "--cpu-list", cores, *map(str, command)]
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.terminate()  # nginx's and HAProxy's masters end their workers on SIGTERM
        try:
            self.popen.wait(2)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def wait_until_answering(self, method="GET", path="/v1/models", body=None, within=10, pause=0.02):
        """Until the first 200; the answer's time is what `start` measures."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and self.popen.poll() is None:
            connection = connect(self.port, self.tls)
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    return self
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(pause)
        raise SystemExit(f"bench: {self.name} does not answer on port {self.port}; its log:\n{self.log.read_text()}")

    def pids(self):
        own = self.popen.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def processor_seconds(self):
        """User and system time of the process with all its threads, and of its children."""
        user = system = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user += int(fields[11])  # utime and stime, the 14th and 15th field of the line
            system += int(fields[12])
        return user / 100, system / 100  # USER_HZ is 100 on every Linux

    def memory_mb(self, field="VmRSS"):
        """Resident memory now (VmRSS) or at its highest (VmHWM)."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(re.search(rf"{field}:\s+(\d+)", text)[1]) for text in texts) / 1024


def start_nginx_engine(folder, cores=LOAD_CORE, ports=2, models=MODELS):
    """One nginx worker that answers `return 200` on some ports: the cheapest engine there is."""
    ports = free_ports(ports)
    configuration = folder / "engine.conf"
    servers = "".join(
        f"    server {{ listen 127.0.0.1:{port} backlog=4096; include {folder}/answers.conf; }}\n" for port in ports
    )
    (folder / "answers.conf").write_text(
        "default_type application/json;\n"
        f"location /v1/models {{ return 200 '{models}'; }}\nlocation / {{ return 200 '{ANSWER}'; }}\n"
    )
    configuration.write_text(
        f"daemon off; worker_processes 1; pid {folder}/engine.pid; error_log stderr;\n"
        "events { worker_connections 8192; }\n"
        f"http {{\n    access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;\n"
        f"{temporary_paths(folder)}{servers}}}\n"
    )
    program = Program("engine-nginx", ["nginx", "-c", configuration, "-p", folder], cores, ports[0], folder)
    return program.wait_until_answering(), ports


def start_streaming_engine(folder, *options):
    ports = free_ports(1)
    program = Program("engine-streaming", [sys.executable, HERE / "engine.py", *ports, *options], LOAD_CORE, ports[0], folder)
    return program.wait_until_answering(), ports


def temporary_paths(folder):
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)


class Nginx:
    name = "nginx"

    def version(self):
        return first_line("nginx", "-v").removeprefix("nginx version: ")

    def command(self, folder, port, engines, placement):
        configuration = folder / "nginx.conf"
        upstreams = " ".join(f"server 127.0.0.1:{engine};" for engine in engines)
        secure, settings = "", ""
        if placement.tls:
            secure, settings = " ssl", (
                f"ssl_certificate {CERTIFICATE}; ssl_certificate_key {PRIVATE_KEY}; ssl_protocols TLSv1.3;\n        "
            )
        reuse = " reuseport" if placement.workers > 1 else ""  # else one worker may take most of the connections
        # worker_connections: with less than a sixteenth of them free, nginx would close connections that wait for a request.
        # client_body_buffer_size: whole bodies in memory, as one that may try again must hold them; the default writes files.
        configuration.write_text(
            f"daemon off; worker_processes {placement.workers}; pid {folder}/nginx.pid; error_log stderr;\n"
            f"events {{ worker_connections {3 * placement.connections}; }}\n"
            f"http {{\n    access_log off; keepalive_requests 1000000000;\n{temporary_paths(folder)}"
            f"    upstream engines {{ {upstreams} keepalive {placement.connections}; keepalive_requests 1000000000; }}\n"
            f"    server {{\n        listen 127.0.0.1:{port} backlog=4096{reuse}{secure};\n        {settings}"
            "client_max_body_size 0; client_body_buffer_size 2m; proxy_buffering off;\n"
            '        location / { proxy_pass http://engines; proxy_http_version 1.1; proxy_set_header Connection ""; }\n'
            "    }\n}\n"
        )
        return ["nginx", "-c", configuration, "-p", folder]


class HAProxy:
    name = "HAProxy"

    def version(self):
        return "HAProxy " + re.search(r"version (\S+)", first_line("haproxy", "-v"))[1]

    def command(self, folder, port, engines, placement):
        configuration = folder / "haproxy.cfg"
        servers = "".join(f"    server engine-{engine} 127.0.0.1:{engine}\n" for engine in engines)
        secure = ""
        if placement.tls:
            (folder / "haproxy.pem").write_bytes(CERTIFICATE.read_bytes() + PRIVATE_KEY.read_bytes())
            secure = f" ssl crt {folder}/haproxy.pem ssl-min-ver TLSv1.3 ciphersuites {CIPHER_SUITE}"
        configuration.write_text(
            f"global\n    nbthread {placement.workers}\n    maxconn {placement.connections}\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 1h\n    timeout server 1h\n"
            "    http-reuse always\n    option http-no-delay\n"
            f"frontend clients\n    bind 127.0.0.1:{port} backlog 4096{secure}\n    default_backend engines\n"
            f"backend engines\n    balance roundrobin\n{servers}"
        )
        return ["haproxy", "-db", "-f", configuration]


class Balancer:
    name = "llama-balancer"

    def __init__(self, binary, access_log=True, settings=None, name=name):
        self.name, self.binary, self.access_log = name, binary, access_log
        self.settings = settings or {}  # keys of the configuration beside, or instead of, those below

    def version(self):
        return "llama-balancer " + first_line(self.binary, "--version")

    def command(self, folder, port, engines, placement):
        configuration = folder / "server-list.json"
        servers = {f"engine-{engine}": {"url": f"http://127.0.0.1:{engine}", "kind": "openai"} for engine in engines}
        tls = {"tls": {"certificate": str(CERTIFICATE), "private-key": str(PRIVATE_KEY)}} if placement.tls else {}
        configuration.write_text(json.dumps({
            "listen": {"host": "127.0.0.1", "port": port} | tls,
            "servers": servers,
            "models": {"bench-.*": list(servers)},
            "limits": {"connections": placement.connections},
            "access-log": str(folder / "access.log") if self.access_log else "off",
        } | self.settings, indent=2))  # fmt: skip
        return [self.binary, "serve", "--config", configuration, "--threads", placement.workers]


def start_proxy(proxy, engines, folder, placement=Placement()):
    [port] = free_ports(1)
    command = proxy.command(folder, port, engines, placement)
    return Program(proxy.name, command, placement.cores, port, folder, placement.tls)
