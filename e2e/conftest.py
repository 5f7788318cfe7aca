"""Fixtures: real engines that live for the whole run, and whatever a test starts for itself."""

import contextlib
import os
from pathlib import Path

import pytest

from support.balancer import Balancer
from support.engines import FakeLlama, LlamaServer, Recorder
from support.process import Process

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    default = os.environ.get("LLAMA_BALANCER", str(ROOT / ".build" / "release" / "llama-balancer"))
    parser.addoption(
        "--binary", default=default, help="the llama-balancer to test (or LLAMA_BALANCER); fake-llama lies beside it"
    )


def pytest_configure(config):
    os.chdir(ROOT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of the log of every process it had."""
    report = yield
    if report.failed:
        report.sections += [
            (f"log of {process.name} (all of it: {process.log})", process.log_tail()) for process in Process.running
        ]
    return report


@pytest.fixture(scope="session")
def binary(request):
    path = Path(request.config.getoption("--binary")).resolve()
    if not os.access(path, os.X_OK):
        pytest.exit(f"no llama-balancer at {path}: build it (make release), or name it with --binary or LLAMA_BALANCER", 2)
    return path


@pytest.fixture(scope="session")
def fake_binary(binary):
    path = binary.with_name("fake-llama")
    if not os.access(path, os.X_OK):
        pytest.exit(f"no fake-llama at {path}: build it (make release)", 2)
    return path


def started(*engines):
    yield [engine.wait_until_ready() for engine in engines]
    for engine in engines:
        engine.end()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright  # the clients' environment does not have it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tiny_pair():
    """Two llama-servers with the same tiny model, `tiny-byte`, four slots each: they answer in milliseconds."""
    yield from started(LlamaServer("alpha"), LlamaServer("beta"))


@pytest.fixture(scope="session")
def slow_pair():
    """Two llama-servers with `slow-byte`, four slots each: some hundred tokens a second, so that one can watch them work.
    Small batches: between two of them an engine notices that its client has left."""
    yield from started(*(LlamaServer(name, "slow-byte", batch=64) for name in ("slow-alpha", "slow-beta")))


@pytest.fixture
def alpha(tiny_pair):
    return tiny_pair[0]


@pytest.fixture
def beta(tiny_pair):
    return tiny_pair[1]


@pytest.fixture
def slow_alpha(slow_pair):
    return slow_pair[0]


@pytest.fixture
def slow_beta(slow_pair):
    return slow_pair[1]


@pytest.fixture
def ending():
    """What a test has started is ended after it, last first, each of them even when another one's end complains."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def start_llama_server(ending):
    def start(name, *arguments, **options):
        engine = LlamaServer(name, *arguments, **options)
        ending.callback(engine.end)
        return engine.wait_until_ready()

    return start


@pytest.fixture
def start_fake(ending, fake_binary):
    def start(name, models, **options):
        engine = FakeLlama(fake_binary, name, models, **options)
        ending.callback(engine.end)
        return engine.wait_until_ready()

    return start


@pytest.fixture
def start_recorder(ending):
    def start(*models):
        recorder = Recorder(models or ("recorded",))
        ending.callback(recorder.end)
        return recorder

    return start


@pytest.fixture
def start_balancer(ending, binary, tmp_path):
    """Starts a balancer and waits until the servers named in `up` (default: all of its configuration) are known to be up."""

    def start(configuration=None, up=None, **options):
        folder = tmp_path / options.get("name", "balancer")
        folder.mkdir()
        balancer = Balancer(binary, folder, configuration, **options)
        ending.callback(balancer.end)
        balancer.wait_until_listening(balancer.port)
        names = (configuration or {}).get("servers", {}) if up is None else up
        return balancer.wait_until_up(*names)

    return start
