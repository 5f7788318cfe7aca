"""Standard output and standard error that are closed, full, or read by nobody: no reason to crash, to hang or to lie."""

import os
import signal
import socket
import subprocess

import pytest
from support.balancer import Balancer
from support.http import request
from support.process import free_port
from support.waiting import eventually

EX_IOERR = 74
BAD_OUTPUTS = ("full", "closed", "reader gone")


class Started(subprocess.Popen):
    """The program with a standard output that takes nothing. `descriptors`: which ones."""

    def __init__(self, words, output, descriptors=(1,), **more):
        def break_descriptors():
            for number in descriptors:
                if output == "closed":
                    os.close(number)
                elif output == "full":
                    os.dup2(os.open("/dev/full", os.O_WRONLY), number)
                else:
                    reader, writer = os.pipe()
                    os.dup2(writer, number)
                    os.close(reader)
                    os.close(writer)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)

        super().__init__(
            [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=break_descriptors, text=True, **more,
        )  # fmt: skip


def is_healthy(port):
    return lambda: request(f"http://127.0.0.1:{port}", "GET", "/llmhealth").status == 200


@pytest.mark.parametrize("output", BAD_OUTPUTS)
@pytest.mark.parametrize("words", (["check"], ["--help"], ["--version"], ["serve", "--help"]), ids=" ".join)
def test_a_result_that_cannot_be_printed_is_a_failure(binary, tmp_path, words, output):
    (tmp_path / "server-list.yaml").write_text("servers: { A: { url: 'http://127.0.0.1:1' } }\n")
    program = Started([binary, *words], output, cwd=tmp_path)
    said = program.communicate(timeout=30)[1]
    assert program.returncode == EX_IOERR, (program.returncode, said)
    if output == "reader gone":
        assert said == "", "`check | head` is nothing to complain about"
    else:
        assert "standard output" in said, said


@pytest.mark.parametrize("output", BAD_OUTPUTS)
def test_a_failure_that_cannot_be_told_keeps_its_exit_status(binary, tmp_path, output):
    (tmp_path / "server-list.yaml").write_text("servers: {}\n")
    for words, status in ((["check"], 1), (["serve"], 78), (["--nonsense"], 64)):
        program = Started([binary, *words], output, descriptors=(1, 2), cwd=tmp_path)
        program.communicate(timeout=30)
        assert program.returncode == status, words


@pytest.mark.parametrize("output", BAD_OUTPUTS)
@pytest.mark.parametrize("descriptors", ((1,), (1, 2), (0, 1, 2)))
@pytest.mark.parametrize("command", ("serve", "demo"))
def test_a_server_serves_although_nobody_can_hear_it(binary, tmp_path, output, descriptors, command):
    port = free_port()
    words = [binary, "demo", "--quiet"] if command == "demo" else [binary, "serve", "http://127.0.0.1:1", "--host", "127.0.0.1"]
    program = Started([*words, "--port", port], output, descriptors, cwd=tmp_path)
    try:
        eventually("it serves", is_healthy(port), within=20)
        status = subprocess.run([binary, "status", "--url", f"http://127.0.0.1:{port}"], capture_output=True, timeout=30)
        assert status.returncode == 0 and b"SERVER" in status.stdout, status
        shown = Started([binary, "status", "--url", f"http://127.0.0.1:{port}"], output)
        shown.communicate(timeout=30)
        assert shown.returncode == EX_IOERR
        program.send_signal(signal.SIGTERM)
        said = program.communicate(timeout=20)[1]
    finally:
        program.kill()
    assert program.returncode == 0, (program.returncode, said)
    if 2 not in descriptors:
        assert said.count("could not be printed") == 1, said


def test_an_access_log_that_nobody_reads_neither_stops_requests_nor_the_end(binary, tmp_path, ending):
    configuration = {"servers": {"A": {"url": f"http://127.0.0.1:{free_port()}"}}, "access-log": "-", "shutdown-grace": "1s"}
    reader, writer = os.pipe()
    balancer = Balancer(binary, tmp_path, configuration, output=writer)
    os.close(writer)
    ending.callback(os.close, reader)
    ending.callback(balancer.end)
    balancer.wait_until_listening(balancer.port)
    path = "/" + "x" * 8000
    with socket.create_connection(("127.0.0.1", balancer.port)) as client:
        for _ in range(100):  # a line each, 800 KB together, and a pipe holds 64
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            while b"\r\n\r\n" not in client.recv(65536):
                pass
    balancer.signal(signal.SIGTERM)
    assert balancer.wait_for_exit(within=10) == 0
