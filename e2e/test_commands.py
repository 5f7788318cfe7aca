"""The command line: what it prints, and what it exits with."""

import os
import re
import signal
import socket
import subprocess

from support.balancer import Balancer, chat_body, server
from support.http import events, request
from support.process import Process, free_port
from support.waiting import eventually

EX_USAGE, EX_CONFIG = 64, 78
CHAT_LINE = r"curl .*/v1/chat/completions.*"


def run(binary, *arguments, cwd=None, **env):
    environment = {key: value for key, value in os.environ.items() if key != "SERVER_LIST_JSON"} | env
    return subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=environment, timeout=30)


def test_urls_alone_are_a_configuration(binary, tmp_path, alpha, beta, ending):
    balancer = Balancer(binary, tmp_path, arguments=[alpha.url, beta.url])
    ending.callback(balancer.end)
    balancer.wait_until_listening(balancer.port)
    name = alpha.url.removeprefix("http://")
    balancer.wait_until_up(name, beta.url.removeprefix("http://"))
    assert balancer.chat(chat_body("tiny-byte")).headers["X-Balancer-Server"] == name


def test_with_nothing_to_serve_it_shows_the_three_ways_to_begin_and_exits_64(binary, tmp_path):
    result = run(binary, cwd=tmp_path)
    said = result.stdout + result.stderr
    assert result.returncode == EX_USAGE, said
    for word in ("servers", "http://", "demo"):
        assert word in said, f"{word!r} is not in: {said}"


def test_a_bad_configuration_is_explained_line_by_line_and_exits_78(binary, tmp_path):
    (tmp_path / "server-list.yaml").write_text(
        "servers:\n  PC1: { urll: 'http://127.0.0.1:8080' }\nmodels:\n  '(': [PC1]\n  'm': [PC9]\nqueue: { max-wait: soon }\n"
    )
    served = run(binary, cwd=tmp_path)
    assert served.returncode == EX_CONFIG, served
    checked = run(binary, "check", cwd=tmp_path)
    assert checked.returncode == 1, checked
    for result in (served, checked):
        problems = re.findall(r"server-list\.yaml:(\d+):\d+: error: (.*)", result.stdout + result.stderr)
        assert {int(line) for line, _ in problems} >= {2, 4, 5, 6}, f"a problem in each of the lines 2, 4, 5, 6: {result}"
        text = result.stdout + result.stderr
        assert "did you mean" in text and "PC9" in text and "soon" in text, text


def test_check_of_a_good_file_prints_what_it_understood(binary, tmp_path):
    (tmp_path / "server-list.yaml").write_text(
        "servers:\n  PC1: { url: 'http://127.0.0.1:8080', api-key: sesame }\n  PC2: { url: 'http://127.0.0.1:8081' }\n"
        "models:\n  'gpt-oss.*': [PC2, PC1]\n  'qwen.*': [PC1]\nfallback_server: PC2\n"
    )
    result = run(binary, "check", cwd=tmp_path)
    assert result.returncode == 0, result
    assert re.search(r"PC1.*PC2.*gpt-oss\.\*.*qwen\.\*", result.stdout, re.S), result.stdout
    assert "sesame" not in result.stdout


def test_a_port_that_is_taken_is_named_and_exits_1(binary, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(binary, "http://127.0.0.1:1", "--host", "127.0.0.1", "--port", port, cwd=tmp_path)
    assert result.returncode == 1 and str(port) in result.stdout + result.stderr, result


def test_version_and_help(binary):
    assert re.match(r"\d+\.\d+", run(binary, "--version").stdout)
    for command in ((), ("serve",), ("demo",), ("check",), ("status",)):
        result = run(binary, *command, "--help")
        assert result.returncode == 0 and "llama-balancer" in result.stdout and "USAGE" in result.stdout.upper(), result


def wait_until_refused(port):
    def is_refused():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return False
        except ConnectionRefusedError:
            return True

    eventually("new connections are refused", is_refused)


def test_sigterm_lets_a_running_stream_end_then_exits_0(start_balancer, slow_alpha):
    balancer = start_balancer({"servers": {"slow": server(slow_alpha)}})
    stream = balancer.exchange("/v1/chat/completions", chat_body("slow-byte", max_tokens=150, stream=True))
    beginning = stream.read_some()
    balancer.signal(signal.SIGTERM)
    wait_until_refused(balancer.port)
    rest, clean = stream.read_all()
    assert clean and events(beginning + rest)[-1] == "[DONE]", rest[-300:]
    assert balancer.wait_for_exit(within=5) == 0


def test_a_second_sigterm_exits_at_once(start_balancer, slow_alpha):
    balancer = start_balancer({"servers": {"slow": server(slow_alpha)}})
    stream = balancer.exchange("/v1/chat/completions", chat_body("slow-byte", max_tokens=1500, stream=True))
    stream.read_some()
    balancer.signal(signal.SIGTERM)
    wait_until_refused(balancer.port)  # it has seen the first one: two at once would be one
    balancer.signal(signal.SIGTERM)
    balancer.wait_for_exit(within=3)
    stream.leave()


def test_status_prints_a_table(start_balancer, binary, alpha, beta):
    balancer = start_balancer({"servers": {"alpha": server(alpha), "beta": server(beta)}})
    result = run(binary, "status", "--url", balancer.url)
    assert result.returncode == 0, result
    rows = [line for line in result.stdout.splitlines() if re.search(r"\b(alpha|beta)\b", line)]
    assert len(rows) >= 2 and all("up" in row for row in rows[:2]), result.stdout


def test_status_of_nothing_says_so(binary):
    url = f"http://127.0.0.1:{free_port()}"
    result = run(binary, "status", "--url", url)
    assert result.returncode != 0 and url.removeprefix("http://") in result.stdout + result.stderr, result


def test_status_of_something_else_says_that_it_is_no_balancer(binary, alpha):
    result = run(binary, "status", "--url", alpha.url)
    assert result.returncode != 0 and "is no llama-balancer" in result.stdout + result.stderr, result


def test_the_demo_answers_the_curl_line_that_it_prints(binary, tmp_path, ending):
    port = free_port()
    demo = Process("demo", [binary, "demo", "--port", port, "--quiet"], cwd=tmp_path)
    ending.callback(demo.end)
    demo.wait_until_listening(port)
    said = eventually("a curl line", lambda: re.sub(r"\\\n\s*", "", demo.output()), lambda text: re.search(CHAT_LINE, text))
    line = re.search(CHAT_LINE, said)[0].strip()
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30)
    assert answer.returncode == 0 and "choices" in answer.stdout, f"{line}\n{answer}"
    assert len(request(f"http://127.0.0.1:{port}", "GET", "/llmhealth-snapshot").json()["backends"]) == 3
