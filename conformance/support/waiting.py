"""Waiting for something to become true, with a deadline: the only way these checks let time pass."""

import time


class Broken(Exception):
    """A promise that was not kept. The message is the detail in the table."""


class NotApplicable(Exception):
    """The proxy has no such feature. The message is the reason, shown in the table."""


def expect(condition, message):
    if not condition:
        raise Broken(message)


def eventually(what, probe, accept=bool, within=5.0, every=0.01):
    """Calls `probe` until `accept` likes its answer, and returns that; breaks with the last answer after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            seen = probe()
            if accept(seen):
                return seen
        except OSError as error:  # nobody listening yet, or a connection cut: as good as "not yet"
            seen = error
        if time.monotonic() > deadline:
            raise Broken(f"not within {within:g} s: {what}; last seen: {str(seen)[-300:]}")
        time.sleep(every)


def holds_for(seconds, what, probe, every=0.02):
    """The opposite: breaks as soon as `probe` is false within so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        expect(probe(), f"no longer true: {what}")
        time.sleep(every)
