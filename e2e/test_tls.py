"""Clients over TLS, with the certificates of Tests/Certificates (scripts/test-certificates.sh)."""

import json
import shutil
import socket
import ssl
from functools import partial
from pathlib import Path

import httpx2
import openai
import pytest

from support.balancer import Balancer, chat_body
from support.http import request
from support.process import free_port
from support.waiting import becomes, eventually

CERTIFICATES = Path("Tests/Certificates").resolve()
CHAT = "/v1/chat/completions"


def shown(port):
    """The certificate that a new connection gets, PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port))


def certificate(name):
    der = ssl.PEM_cert_to_DER_cert((CERTIFICATES / f"{name}.pem").read_text())
    return ssl.DER_cert_to_PEM_cert(der)


@pytest.fixture
def start(ending, binary, tmp_path, alpha):
    """A balancer with a plain address, and one with TLS whose files are copies in `tmp_path`."""

    def start(**tls):
        port, secure = free_port(), free_port()
        install(tmp_path, "engine")
        pair = {"certificate": str(tmp_path / "certificate.pem"), "private-key": str(tmp_path / "key.pem")}
        configuration = {
            "listen": [
                {"host": "127.0.0.1", "port": port},
                {"host": "127.0.0.1", "port": secure, "tls": pair | tls},
            ],
            "servers": {"alpha": {"url": alpha.url}},
        }
        balancer = Balancer(binary, tmp_path, json.dumps(configuration), port=port)
        ending.callback(balancer.end)
        balancer.wait_until_listening(port)
        balancer.wait_until_up("alpha")
        return balancer, secure

    return start


def install(folder, name):
    for target, source in (("certificate.pem", f"{name}.pem"), ("key.pem", f"{name}-key.pem")):
        draft = folder / "draft"
        shutil.copy(CERTIFICATES / source, draft)
        draft.rename(folder / target)


def client(port, **tls):
    context = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
    if tls:
        context.load_cert_chain(**tls)
    # The address is in the certificate.
    return openai.OpenAI(
        base_url=f"https://127.0.0.1:{port}/v1",
        api_key="unused",
        max_retries=0,
        http_client=httpx2.Client(verify=context, timeout=30),
    )


def ask(openai_client):
    messages = [{"role": "user", "content": "Say something."}]
    return openai_client.chat.completions.create(model="tiny-byte", messages=messages, max_tokens=4)


def test_the_official_client_streams_over_tls(start):
    _, port = start()
    messages = [{"role": "user", "content": "Say something."}]
    stream = client(port).chat.completions.create(model="tiny-byte", messages=messages, max_tokens=20, stream=True)
    assert len(list(stream)) > 10


def test_a_renewed_certificate_is_used_and_a_broken_one_is_not(start, tmp_path):
    balancer, port = start()
    assert shown(port) == certificate("engine")
    install(tmp_path, "elsewhere")
    eventually("the new certificate", partial(shown, port), becomes(certificate("elsewhere")), within=10)
    # A renewal that was interrupted: the key belongs to the other one.
    shutil.copy(CERTIFICATES / "engine.pem", tmp_path / "certificate.pem")
    error = eventually("the problem is shown", lambda: balancer.snapshot()["config"]["error"], within=10)
    assert "is not the key of" in error and "listen[1].tls.private-key" in error
    assert shown(port) == certificate("elsewhere")
    assert "is not the key of" in balancer.output()
    install(tmp_path, "engine")
    eventually("the mended certificate", partial(shown, port), becomes(certificate("engine")), within=10)
    eventually("the problem is gone", lambda: balancer.snapshot()["config"]["error"], becomes(None), within=10)
    [known] = balancer.snapshot()["config"]["certificates"]
    assert known["days_left"] > 300
    assert "llama_balancer_certificate_days_left{" in balancer.request("GET", "/metrics").body.decode()


def test_with_client_ca_only_clients_with_a_certificate_come_in(start):
    _, port = start(**{"client-ca": str(CERTIFICATES / "authority.pem")})
    pair = {"certfile": str(CERTIFICATES / "client.pem"), "keyfile": str(CERTIFICATES / "client-key.pem")}
    assert ask(client(port, **pair)).choices
    with pytest.raises(openai.APIConnectionError):
        ask(client(port))


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions_are_refused(start, version):
    _, port = start()
    context = ssl._create_unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


def test_the_plain_address_goes_on_beside_it(start):
    balancer, port = start()
    assert balancer.chat(chat_body("tiny-byte", max_tokens=1)).status == 200
    assert request(f"https://127.0.0.1:{port}", "POST", CHAT, chat_body("tiny-byte", max_tokens=1)).status == 200
