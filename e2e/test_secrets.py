"""Nothing secret is in what the balancer says or writes: whatever it was told in confidence is looked for everywhere."""

import json
import subprocess
from pathlib import Path

from support.balancer import Balancer, chat_body, server
from support.http import request
from support.process import free_port
from support.waiting import eventually

CHAT = "/v1/chat/completions"
CERTIFICATES = Path("Tests/Certificates").resolve()
SECRETS = {
    "the client's key": "lb-planted-client-key-0001",
    "the administrator's key": "lb-planted-admin-key-0002",
    "a wrong key": "lb-planted-wrong-key-0003",
    "the server's key": "planted-engine-key-0004",
    "a server's field": "planted-engine-field-0005",
    "a prompt": "planted prompt 0006",
}


def test_nothing_that_was_told_in_confidence_is_said_or_written(ending, binary, tmp_path, alpha):
    port, secure = free_port(), free_port()
    key = {"certificate": str(CERTIFICATES / "engine.pem"), "private-key": str(CERTIFICATES / "engine-key.pem")}
    configuration = {
        "listen": [{"host": "127.0.0.1", "port": port}, {"host": "127.0.0.1", "port": secure, "tls": key}],
        "servers": {
            "alpha": server(alpha, api_key="${ENGINE_KEY}", headers={"X-Engine": "${ENGINE_FIELD}"}),
            "dead": {"url": f"http://127.0.0.1:{free_port()}", "api-key": "${ENGINE_KEY}"},
        },
        "keys": [
            {"name": "client", "key": "${CLIENT_KEY}", "requests-per-minute": 1000},
            {"name": "operator", "key": "${ADMIN_KEY}", "admin": True},
        ],
        "access-log": str(tmp_path / "access.log"),
    }
    environment = {
        "CLIENT_KEY": SECRETS["the client's key"],
        "ADMIN_KEY": SECRETS["the administrator's key"],
        "ENGINE_KEY": SECRETS["the server's key"],
        "ENGINE_FIELD": SECRETS["a server's field"],
    }
    balancer = Balancer(
        binary, tmp_path, json.dumps(configuration), arguments=["--log-level", "trace"], port=port, env=environment
    )
    ending.callback(balancer.end)
    balancer.wait_until_listening(port)
    client = {"Authorization": "Bearer " + SECRETS["the client's key"]}
    admin = {"x-api-key": SECRETS["the administrator's key"]}
    wrong = {"api-key": SECRETS["a wrong key"]}
    chat = chat_body("tiny-byte", text=SECRETS["a prompt"], max_tokens=2)

    said = {}
    eventually("an answer", lambda: request(balancer.url, "POST", CHAT, chat, client).status == 200, within=20)
    for name, headers in (("client", client), ("administrator", admin), ("stranger", wrong), ("nobody", {})):
        for path in ("/llmhealth-snapshot", "/llmhealth-monitor", "/access-log-stats", "/metrics", "/admin/requests",
                     "/admin/usage", "/admin/nothing", "/v1/models", "/slots", "/nowhere"):  # fmt: skip
            said[f"{path} for {name}"] = repr(request(balancer.url, "GET", path, headers=headers).body)
        for body in (chat | {"model": "unknown"}, b"{", chat | {"max_tokens": "x"}):
            answer = request(f"https://127.0.0.1:{secure}", "POST", CHAT, body, headers)
            said[f"an answer of {answer.status} for {name}"] = repr(answer.headers.items()) + repr(answer.body)
    told = request(balancer.url, "POST", CHAT, chat, client | {"X-Request-Id": "told"})
    said["why"] = repr(request(balancer.url, "GET", "/admin/requests/told", headers=admin).body)
    said["the answer's fields"] = repr(told.headers.items())
    balancer.write(json.dumps(configuration | {"keys": [{"name": "x", "key": "${CLIENT_KEY}", "models": ["("]}]}))
    eventually("the problem is shown", lambda: "models" in balancer.output())
    said["a reload with a mistake"] = repr(request(balancer.url, "POST", "/admin/reload", headers=admin).body)
    check = subprocess.run([binary, "check", "--config", balancer.file], capture_output=True, text=True, env=environment)
    said["check"] = check.stdout + check.stderr
    ending.close()
    said["its own log"] = balancer.log.read_text()
    for file in tmp_path.rglob("*"):
        if file.is_file() and file != balancer.log:
            said[file.name] = file.read_text(errors="replace")
    assert len(said) > 50 and "access.log" in said and any("usage.jsonl" in name for name in said)

    private = (CERTIFICATES / "engine-key.pem").read_text().splitlines()[1]
    for what, secret in (SECRETS | {"a private key": private}).items():
        found = [place for place, text in said.items() if secret in text]
        assert not found, f"{what} is in {found}"
