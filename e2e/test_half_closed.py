"""Clients that close their sending side, as `nc -N` does, and read their answers late."""

import json
import socket

import pytest

from support.balancer import server

PAGE = "/llmhealth-monitor/dashboard.js"


def received(port, text):
    """Everything that comes back, read only after the balancer has written what the sockets take."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        client.sendall(text.encode())
        client.shutdown(socket.SHUT_WR)
        data = client.recv(1)
        # A second client is answered only after the balancer has done what it could for the first one.
        with socket.create_connection(("127.0.0.1", port), timeout=20) as other:
            other.sendall(b"GET /llmhealth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while other.recv(65536):
                pass
        while piece := client.recv(65536):
            data += piece
        return data


def test_they_get_all_pipelined_answers(start_balancer, alpha):
    balancer = start_balancer({"servers": {"alpha": server(alpha)}})
    data = received(balancer.port, f"GET {PAGE} HTTP/1.1\r\nHost: x\r\n\r\n" * 600)
    assert data.count(b"HTTP/1.1 200 OK\r\n") == 600


@pytest.mark.parametrize("last", ["", "Connection: close\r\n"])
def test_they_get_a_long_answer_whole(start_balancer, start_recorder, last):
    recorder = start_recorder(*(f"model-{number}-{'x' * 500}" for number in range(8000)))
    balancer = start_balancer({"servers": {"many": server(recorder, kind="openai")}})
    data = received(balancer.port, f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{last}\r\n")
    body = data.partition(b"\r\n\r\n")[2]
    assert len(json.loads(body)["data"]) == 8000
