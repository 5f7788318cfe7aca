"""The balancer behind the proxies of docs/security.md, with the files of examples/proxies: the real nginx, Caddy and Traefik."""

import json
import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml

from support.balancer import Balancer, chat_body
from support.http import Exchange, events, request
from support.process import Process, free_port
from support.waiting import becomes, eventually

EXAMPLES = Path("examples/proxies").resolve()
CERTIFICATES = Path("Tests/Certificates").resolve()
CHAT = "/v1/chat/completions"
KEY = "a-key-of-the-tests-own-that-is-long-enough"


def replaced(text, pairs):
    """Each old text must be there: an example that has changed is noticed."""
    for old, new in pairs:
        assert old in text, f"the example has no {old!r} any more"
        text = text.replace(old, str(new))
    return text


class Proxy(Process):
    def __init__(self, name, command, port, folder):
        self.url = f"https://127.0.0.1:{port}"
        super().__init__(name, command, cwd=folder)
        self.wait_until_listening(port)


def start_nginx(folder, socket, port, _):
    site = replaced(
        (EXAMPLES / "nginx.conf").read_text(),
        [
            ("/run/llama-balancer/http.sock", socket),
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("/etc/letsencrypt/live/llm.example.com/fullchain.pem", CERTIFICATES / "engine.pem"),
            ("/etc/letsencrypt/live/llm.example.com/privkey.pem", CERTIFICATES / "engine-key.pem"),
        ],
    )
    (folder / "site.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user www-data;" if os.getuid() == 0 else ""  # as Debian's nginx.conf has it
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/nginx.pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off;\n{paths}include {folder}/site.conf; }}\n"
    )
    return Proxy("nginx", ["nginx", "-c", folder / "nginx.conf", "-p", folder], port, folder)


def start_caddy(folder, socket, port, _):
    text = replaced(
        (EXAMPLES / "Caddyfile").read_text(),
        [
            ("/run/llama-balancer/http.sock", socket),
            ("llm.example.com {", f"https://127.0.0.1:{port} {{\n\ttls {CERTIFICATES}/engine.pem {CERTIFICATES}/engine-key.pem"),
        ],
    )
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    program = Path(sys.executable).with_name("caddy")
    return Proxy("caddy", [program, "run", "--config", folder / "Caddyfile"], port, folder)


def start_traefik(folder, _, port, balancer_port):
    text = replaced(
        (EXAMPLES / "traefik.yaml").read_text(),
        [("Host(`llm.example.com`)", "PathPrefix(`/`)"), ("http://127.0.0.1:18000", f"http://127.0.0.1:{balancer_port}")],
    )
    pair = {"certFile": str(CERTIFICATES / "engine.pem"), "keyFile": str(CERTIFICATES / "engine-key.pem")}
    dynamic = yaml.safe_load(text) | {"tls": {"certificates": [pair]}}
    (folder / "dynamic.yaml").write_text(yaml.safe_dump(dynamic))
    static = {
        "entryPoints": {
            "websecure": {"address": f"127.0.0.1:{port}", "transport": {"respondingTimeouts": {"readTimeout": "0s"}}}
        },
        "providers": {"file": {"filename": str(folder / "dynamic.yaml")}},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
    }
    (folder / "traefik.yaml").write_text(yaml.safe_dump(static))
    program = Path(sys.executable).with_name("traefik")
    return Proxy("traefik", [program, f"--configfile={folder}/traefik.yaml"], port, folder)


@pytest.fixture(params=[start_nginx, start_caddy, start_traefik], ids=["nginx", "caddy", "traefik"])
def behind(request, ending, binary, tmp_path, slow_alpha):
    """The balancer of the example, and a proxy in front of it."""
    port = free_port()
    # A short path, because the kernel has room for 107 bytes, and one that another user may walk.
    folder = Path("/tmp") / f"lb-{port}"
    folder.mkdir(mode=0o755)
    ending.callback(shutil.rmtree, folder)
    socket = folder / "http.sock"
    text = (EXAMPLES / "server-list.yaml").read_text()
    configuration = yaml.safe_load(re.sub(r"key-sha256: \w+", "key: ${TEST_KEY}", text))
    unix = configuration["listen"][0]
    unix["socket"] = str(socket)
    if os.getuid() != 0:
        del unix["owner"]  # only root may give it away; nginx then runs as the same user
    configuration["listen"] = [unix, {"host": "127.0.0.1", "port": port}]
    configuration["servers"] = {"slow": {"url": slow_alpha.url}}
    configuration["access-log"] = str(tmp_path / "access.log")
    balancer = Balancer(binary, tmp_path, json.dumps(configuration), port=port, env={"TEST_KEY": KEY})
    ending.callback(balancer.end)
    balancer.wait_until_listening(port)
    folder = tmp_path / "proxy"
    folder.mkdir()
    proxy = request.param(folder, socket, free_port(), port)
    ending.callback(proxy.end)
    authorised = {"Authorization": f"Bearer {KEY}"}
    eventually("an answer through the proxy", partial(status, proxy.url, authorised), becomes(200), within=20)
    return balancer, proxy, authorised, tmp_path / "access.log"


def status(url, headers):
    return request(url, "GET", "/v1/models", headers=headers).status


def test_streams_arrive_as_they_are_made_and_end_with_their_client(behind, slow_alpha):
    _, proxy, key, _ = behind
    stream = Exchange(proxy.url, "POST", CHAT, chat_body("slow-byte", max_tokens=3000, stream=True), key)
    assert b"data: " in stream.read_some()
    assert slow_alpha.processing() == 1, "the first event comes long before the last"
    stream.leave()
    eventually("the engine stops", slow_alpha.processing, becomes(0), within=10)


def test_a_whole_stream_and_a_long_prompt_pass(behind):
    _, proxy, key, _ = behind
    body = chat_body("slow-byte", max_tokens=20, stream=True)
    pieces, clean = Exchange(proxy.url, "POST", CHAT, body, key).read_all()
    assert clean and events(pieces)[-1] == "[DONE]"
    # Longer than what proxies take by default. The engine's context is shorter, which it says itself.
    long = Exchange(proxy.url, "POST", CHAT, chat_body("slow-byte", text="x" * (8 << 20), max_tokens=1), key)
    assert long.wait_for_head().status == 400
    assert b"exceed" in long.response.read()


def test_the_proxy_is_believed_who_the_client_is_and_the_client_is_not(behind):
    _, proxy, key, log = behind
    # Another address of this machine than the proxy's, which is a trusted one.
    claims = key | {"X-Forwarded-For": "203.0.113.7"}
    asked = Exchange(proxy.url, "POST", CHAT, chat_body("slow-byte", max_tokens=1), claims, source=("127.0.0.2", 0))
    assert asked.wait_for_head().status == 200
    asked.read_all()
    line = eventually("a line in the log", lambda: [x for x in log.read_text().splitlines() if CHAT in x])[-1]
    assert json.loads(line)["client"] == "127.0.0.2"
    assert json.loads(line)["key"] == "anna"


def test_the_balancers_controls_are_not_for_the_network(behind):
    _, proxy, key, _ = behind
    assert request(proxy.url, "POST", "/admin/reload").status == 401
    assert request(proxy.url, "POST", "/admin/reload", headers=key).status == 403
    assert request(proxy.url, "POST", CHAT, chat_body("slow-byte", max_tokens=1)).status == 401
