"""Checks, the stages they are played on, and how they are run."""

import contextlib
import shutil
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from support.client import ask
from support.engines import FakeLlama, RawEngine
from support.waiting import Broken, NotApplicable, eventually

CHECKS = []


@dataclass
class Check:
    id: str
    group: str
    promise: str
    play: object
    engines: tuple
    settings: dict
    alone: bool  # measures time, memory or load: nothing else runs meanwhile
    heavy: bool
    spoils: bool  # leaves engines or proxy in a state that no other check should meet
    any_path: bool  # needs a proxy that passes on paths it does not know
    only_for: tuple  # features it needs: attributes of the adapter, whose text says why not where it is a text


def check(id, group, engines=("fake", "fake"), alone=False, heavy=False, spoils=False, any_path=False, needs=None, **settings):
    """Makes a check of a function; its docstring is the promise."""

    def register(play):
        add(id, group, play.__doc__.strip(), play, engines, alone, heavy, spoils, any_path, needs, settings)
        return play

    return register


def add(id, group, promise, play, engines=("fake", "fake"), alone=False, heavy=False, spoils=False, any_path=False,
        needs=None, settings=None):  # fmt: skip
    if any(other.id == id for other in CHECKS):
        raise ValueError(f"two checks are called {id}")
    promise = " ".join(promise.split())
    features = (needs,) if isinstance(needs, str) else tuple(needs or ())
    CHECKS.append(Check(id, group, promise, play, engines, settings or {}, alone, heavy, spoils, any_path, features))


@dataclass
class Result:
    id: str
    group: str
    promise: str
    verdict: str  # "pass", "FAIL" or "n.a."
    detail: str
    seconds: float


@dataclass
class Stage:
    """A running proxy in front of its engines."""

    proxy: object
    process: object
    port: int
    engines: list
    folder: Path
    settings: dict
    open_files: int = 0
    unbalanced: list = field(default_factory=list)

    @property
    def a(self):
        return self.engines[0]

    @property
    def b(self):
        return self.engines[1]

    def ask(self, method, target, fields=(), body=None, timeout=30.0):
        return ask(self.port, method, target, fields, body, timeout)


class Stages:
    """Starts stages and lends each to one check at a time; clean ones are used again."""

    def __init__(self, proxy, fake_binary):
        self.proxy, self.fake_binary = proxy, fake_binary
        self.folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        self.lock = threading.Lock()
        self.free, self.count = {}, 0
        self.looked_at, self.unbalanced = 0, []

    @contextlib.contextmanager
    def lend(self, engines, settings, spoils, borrower):
        key = (engines, tuple(sorted(settings.items())))
        with self.lock:
            waiting = self.free.get(key, [])
            stage = waiting.pop() if waiting else None
        if stage and not self.is_ready(stage):
            self.end(stage)
            stage = None
        stage = stage or self.start(engines, settings)
        good = False
        try:
            for engine in stage.engines:
                engine.forget()
            yield stage
            good = not spoils
        finally:
            self.look_at_accounts(stage, borrower)
            if good:
                for engine in stage.engines:
                    engine.behave(fault=None, decode_tokens_per_second=None, prefill_tokens_per_second=None)
                with self.lock:
                    self.free.setdefault(key, []).append(stage)
            else:
                self.end(stage)

    def start(self, engines, settings):
        with self.lock:
            self.count += 1
            folder = self.folder / str(self.count)
        folder.mkdir()
        made = []
        process = None
        try:
            for number, kind in enumerate(engines):
                made.append(FakeLlama(self.fake_binary, folder, number) if kind == "fake" else RawEngine(number, kind=kind))
            process, port = self.proxy.start(folder, [engine.port for engine in made], settings)
            stage = Stage(self.proxy, process, port, made, folder, settings)
            self.proxy.wait_until_ready(stage)
            stage.open_files = process.open_files()
            return stage
        except BaseException:
            for thing in [*made, *([process] if process else [])]:
                (thing.kill if hasattr(thing, "kill") else thing.end)()
            raise

    def is_ready(self, stage):
        """Whether a stage can be used again: a proxy may leave engines alone for a while because of what an earlier check did."""
        try:
            self.proxy.wait_until_ready(stage)
            return True
        except Broken:
            return False

    def end(self, stage):
        stage.process.kill()
        for engine in stage.engines:
            engine.end()

    def look_at_accounts(self, stage, borrower):
        """After each check: are all requests counted out? Told by the check `accounts-balanced`."""
        if not self.proxy.in_flight or stage.process.has_ended():
            return
        self.looked_at += 1
        try:
            eventually("all counted out", lambda: self.proxy.in_flight(stage), lambda seen: seen == (0, 0), within=5)
        except Broken as problem:
            self.unbalanced.append(f"{borrower}: {problem}")

    def close(self):
        with self.lock:
            stages = [stage for waiting in self.free.values() for stage in waiting]
            self.free.clear()
        for stage in stages:
            self.end(stage)
        shutil.rmtree(self.folder, ignore_errors=True)


def run_one(check, stages):
    begun = time.monotonic()

    def result(verdict, detail):
        return Result(check.id, check.group, check.promise, verdict, detail, time.monotonic() - begun)

    proxy = stages.proxy
    try:
        if check.any_path and proxy.passes_any_path is not True:
            raise NotApplicable("passes on the paths of its API only")
        for feature in check.only_for:
            if (reason := getattr(proxy, feature)) is not True:
                raise NotApplicable(reason or f"has no {feature.replace('_', ' ')}")
        with stages.lend(check.engines, check.settings, check.spoils, check.id) as stage:
            return result("pass", check.play(stage, stages) or "")
    except NotApplicable as reason:
        return result("n.a.", str(reason))
    except Broken as problem:
        return result("FAIL", str(problem))
    except Exception as error:  # a cut connection, an answer that is none: the promise is broken, whatever it was
        where = traceback.extract_tb(error.__traceback__)
        own = next((frame for frame in reversed(where) if "/checks/" in frame.filename), where[-1])
        return result("FAIL", f"{type(error).__name__}: {error} ({Path(own.filename).name}:{own.lineno})")


def run(checks, stages, told, at_once=4):
    """Those that measure nothing side by side, then the others one by one."""
    results = {}

    def play(check):
        results[check.id] = run_one(check, stages)
        told(results[check.id])

    last = [check for check in checks if check.group == "accounting"]
    beside = sorted((c for c in checks if not c.alone and c not in last), key=lambda c: not c.spoils)
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(play, beside))
    for check in [c for c in checks if c.alone and c not in last] + last:
        play(check)
    return [results[check.id] for check in checks]
