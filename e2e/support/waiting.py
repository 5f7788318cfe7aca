"""Waiting for something to become true, with a deadline: the only way these tests let time pass."""

import time

import pytest


def eventually(what, probe, accept=bool, within=5.0, every=0.02):
    """Calls `probe` until `accept` likes its answer, and returns that; fails with the last answer after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            seen = probe()
            if accept(seen):
                return seen
        except OSError as error:  # nobody listening yet, or a connection cut: as good as "not yet"
            seen = error
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within} s: {what}; last seen: {str(seen)[-600:]!r}")
        time.sleep(every)


def becomes(value):
    """For `eventually`: the answer equals `value`."""
    return lambda seen: seen == value
