"""A server behind a cable that was pulled: packets vanish, nothing is refused or reset, and nobody is told."""

import contextlib
import json
import os
import subprocess
import time

import pytest

from support.balancer import chat_body, server
from support.engines import FakeLlama
from support.http import events, request
from support.process import Process, free_port
from support.waiting import becomes, eventually

CHAT = "/v1/chat/completions"
HERE, THERE = "10.213.77.1", "10.213.77.2"  # the two ends of a cable that exists inside this machine only
LONG_PROMPT = "word " * 800  # ten seconds of reading for the far engine
OUT_WITHIN, MOVED_WITHIN, BACK_WITHIN = 5, 6, 6


def ip(*words):
    result = subprocess.run(["ip", *words], capture_output=True, text=True)
    if result.returncode:
        raise OSError(f"ip {' '.join(words)}: {result.stderr.strip() or result.returncode}")
    return result.stdout


class Cable:
    """A network namespace of our own, and a pair of virtual interfaces between it and this machine."""

    def __init__(self):
        self.name = f"balancer-{os.getpid()}"
        self.near, self.far = f"lb{os.getpid()}n", f"lb{os.getpid()}f"

    def lay(self):
        ip("link", "add", self.near, "type", "veth", "peer", "name", self.far)
        ip("link", "set", self.far, "netns", self.name)
        ip("address", "add", f"{HERE}/30", "dev", self.near)
        ip("link", "set", self.near, "up")
        ip("-n", self.name, "address", "add", f"{THERE}/30", "dev", self.far)
        ip("-n", self.name, "link", "set", self.far, "up")
        # Known for good: otherwise this machine's own kernel notices that nobody is there, and says so.
        address = ip("netns", "exec", self.name, "cat", f"/sys/class/net/{self.far}/address").strip()
        ip("neigh", "replace", THERE, "lladdr", address, "dev", self.near, "nud", "permanent")

    def cut(self):
        """From now on nothing comes back, not even a refusal."""
        ip("-n", self.name, "route", "add", "blackhole", f"{HERE}/32")

    def mend(self):
        ip("-n", self.name, "route", "del", "blackhole", f"{HERE}/32")

    def remove(self):
        for words in (("link", "del", self.near), ("netns", "del", self.name)):
            with contextlib.suppress(OSError):  # not laid that far, or gone with the other
                ip(*words)


class FarFake(FakeLlama):
    """The fake engine at the other end."""

    def __init__(self, cable, binary, prefill_speed, decode_speed):
        self.port = free_port()
        self.url = f"http://{THERE}:{self.port}"
        command = ["ip", "netns", "exec", cable.name, binary, "--host", THERE, "--port", self.port, "--name", "far"]
        command += ["--models", "m", "--prefill-speed", prefill_speed, "--decode-speed", decode_speed]
        Process.__init__(self, "far", command)

    def wait_until_ready(self):
        eventually("the far engine answers", lambda: request(self.url, "GET", "/health", timeout=2).status, becomes(200), 20)
        return self

    def concurrency(self):
        return request(self.url, "GET", "/fake/observations").json()["concurrency"]


@pytest.fixture
def cable(ending):
    cable = Cable()
    try:
        ip("netns", "add", cable.name)
        ending.callback(cable.remove)
        cable.lay()
    except OSError as error:
        pytest.skip(f"needs network namespaces (root, and `ip` of iproute2): {error}")
    return cable


@pytest.fixture
def far(ending, cable, fake_binary):
    engine = FarFake(cable, fake_binary, prefill_speed=100, decode_speed=20)
    ending.callback(engine.end)
    return engine.wait_until_ready()


@pytest.fixture
def balancer(start_balancer, far, start_fake):
    """The far server comes first, so it gets whatever arrives."""
    return start_balancer({"servers": {"far": server(far), "near": server(start_fake("near", ["m"]))}})


def asked_there(balancer, far, **more):
    """A request that is at work at the far end, alone."""
    asked = balancer.exchange(CHAT, chat_body("m", **more))
    eventually("the far engine is at work", far.concurrency, becomes(1))
    return asked


def test_it_is_out_within_5_seconds_and_comes_back_by_itself(balancer, cable):
    cable.cut()
    eventually("it is out", lambda: balancer.state("far"), becomes("down"), within=OUT_WITHIN)
    assert balancer.backend("far")["reason"], "the snapshot says why"
    assert balancer.state("near") == "up", "one dead host does not delay the probes of another"

    cable.mend()
    balancer.wait_until_up("far", within=BACK_WITHIN)
    assert balancer.chat(chat_body("m")).headers["X-Balancer-Server"] == "far", "and it gets work again"
    balancer.wait_until_idle()


def test_a_request_in_prefill_moves_and_is_answered_elsewhere(balancer, far, cable):
    asked = asked_there(balancer, far, text=LONG_PROMPT)
    cable.cut()
    cut_at = time.monotonic()
    asked.connection.sock.settimeout(MOVED_WITHIN)
    head = asked.wait_for_head()
    body, clean = asked.read_all()
    assert time.monotonic() - cut_at < MOVED_WITHIN
    assert (head.status, head.headers["X-Balancer-Server"], head.headers["X-Balancer-Attempts"]) == (200, "near", "2")
    assert clean and json.loads(body)["usage"]["completion_tokens"] == 16, body
    balancer.wait_until_idle()


def test_a_running_stream_ends_with_an_error_event_and_without_a_clean_end(balancer, far, cable):
    stream = asked_there(balancer, far, max_tokens=1000, stream=True)
    beginning = stream.read_some()
    cable.cut()
    stream.connection.sock.settimeout(MOVED_WITHIN)
    rest, clean = stream.read_all()
    last = events(beginning + rest)[-1]
    assert not clean, "the connection is closed without the terminating chunk"
    assert "error" in last and "far" in last["error"]["message"], last
    balancer.wait_until_idle()


def test_new_requests_are_answered_by_the_other_one(balancer, cable):
    cable.cut()
    began = time.monotonic()
    first = balancer.request("POST", CHAT, chat_body("m"), timeout=MOVED_WITHIN)
    assert (first.status, first.headers["X-Balancer-Server"]) == (200, "near"), first
    assert time.monotonic() - began < MOVED_WITHIN, "sent into the hole before anybody knew, and moved"
    eventually("it is out", lambda: balancer.state("far"), becomes("down"), within=OUT_WITHIN)
    later = [balancer.chat(chat_body("m"), {"X-Session-Id": f"client-{n}"}) for n in range(5)]
    assert {(a.status, a.headers["X-Balancer-Server"], a.headers["X-Balancer-Attempts"]) for a in later} == {(200, "near", None)}
    balancer.wait_until_idle()
