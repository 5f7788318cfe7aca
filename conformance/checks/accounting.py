"""Nothing is left behind."""

from suite import check
from support.client import chat
from support.waiting import NotApplicable, eventually, expect


@check("descriptors", "accounting", alone=True)
def descriptors(stage, _):
    """After a burst of 50 requests it has no more descriptors than before, but for a few kept connections."""
    for _ in range(50):
        chat(stage.port)
    eventually("descriptors are given back", lambda: stage.process.open_files() - stage.open_files, lambda n: n <= 12, within=15)


@check("accounts-balanced", "accounting", alone=True)
def balanced(stage, stages):
    """After every other check nothing was in flight and nobody waiting, by its own count."""
    if not stages.proxy.in_flight:
        raise NotApplicable("it does not tell")
    expect(not stages.unbalanced, "; ".join(stages.unbalanced[:3]))
    return f"looked at after {stages.looked_at} checks"
