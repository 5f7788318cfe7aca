"""Large conversations do not make a large balancer."""

import re
from pathlib import Path

from support.balancer import server

MEGABYTE = 1 << 20


def peak_memory(process):
    """The most resident memory that the process ever had, in bytes."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[1]) * 1024


def test_a_20_mb_chat_costs_at_most_60_mb(start_balancer, start_recorder):
    recorder = start_recorder("recorded")
    balancer = start_balancer({"servers": {"recorder": server(recorder, kind="openai")}})
    body = (
        b'{"messages":[{"role":"user","content":"'
        + b"All work and no play. " * (20 * MEGABYTE // 22)
        + b'"}],"model":"recorded"}'
    )
    before = peak_memory(balancer)
    assert balancer.chat(body).status == 200
    assert recorder.requests[-1][2] == body, "byte for byte"
    grown = (peak_memory(balancer) - before) / MEGABYTE
    assert grown <= 60, f"{grown:.0f} MB more for a body of {len(body) / MEGABYTE:.0f} MB"


def test_ten_large_bodies_one_after_another_cost_no_more_than_one(start_balancer, start_recorder):
    recorder = start_recorder("recorded")
    balancer = start_balancer({"servers": {"recorder": server(recorder, kind="openai")}})
    body = b'{"model":"recorded","messages":[{"role":"user","content":"' + b"x" * (20 * MEGABYTE) + b'"}]}'
    before = peak_memory(balancer)
    for _ in range(10):
        assert balancer.chat(body).status == 200
        recorder.requests.clear()
    grown = (peak_memory(balancer) - before) / MEGABYTE
    assert grown <= 80, f"{grown:.0f} MB more after ten bodies of 20 MB"
