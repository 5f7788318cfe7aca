"""The figures as tables in Markdown, and beside what llama-balancer is to reach."""

import datetime
import os
import platform
import statistics
from pathlib import Path

from programs import BEFORE, Balancer, HAProxy

REFERENCE = HAProxy.name
MISSING = "–"

# What llama-balancer is to reach: (case, figure, unit, at most or at least, how much). "×": times HAProxy's figure.
TARGETS = [
    ("chat", "cpu_us", "×", "≤", 1.05),
    ("latency", "added_us", "×", "≤", 1.1),
    ("stream", "cpu_us", "×", "≤", 1.1),
    ("body-1m", "cpu_us", "×", "≤", 1.2),
    ("body-1m-last", "cpu_us", "×", "≤", 1.2),
    ("idle-streams", "kb_per_stream", "KB", "≤", 20),
    ("connect", "cpu_us", "×", "≤", 1.2),
    ("tls", "cpu_us", "×", "≤", 1.25),
    ("tls-connect", "cpu_us", "×", "≤", 1.3),
    ("loops", "two_to_one", "times one loop", "≥", 1.8),
    ("memory", "extra_mb", "MB", "≤", 60),
    ("start", "start_ms", "ms", "≤", 150),
]


def table(headings, rows):
    lines = ["| " + " | ".join(headings) + " |", "| --- " + "| ---: " * (len(headings) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def figure(key, form, scale=1.0):
    """How a column shows a figure of a proxy's row, if the row has it."""
    return lambda row, *_: format(row[key] * scale, form) if row.get(key) is not None else MISSING


def processor(form):
    """Processor time: in all, and of that in user mode and in the kernel."""

    def show(row, *_):
        if "cpu_us" not in row:
            return MISSING
        return f"{row['cpu_us']:{form}} ({row['user_us']:{form}} + {row['system_us']:{form}})"

    return show


def ratio(result, name, key, to=REFERENCE):
    """How many times another program's figure a proxy's is, or None: the median of the rounds' ratios, as what slows this machine for a
    while slows what runs side by side. Figures that no single round has: the medians' ratio."""
    own, reference = result["rounds"].get(name, []), result["rounds"].get(to, [])
    pairs = [mine[key] / other[key] for mine, other in zip(own, reference) if key in mine and other.get(key, 0) > 0]
    if pairs:
        return statistics.median(pairs)
    own, reference = result["medians"].get(name, {}), result["medians"].get(to, {})
    return own[key] / reference[key] if own.get(key) is not None and reference.get(key, 0) > 0 else None


def times(key, to=REFERENCE):
    """Times the figure of that program; 1.00 for itself."""

    def show(_, result, name):
        times = ratio(result, name, key, to)
        return MISSING if times is None else f"{times:.2f}"

    return show


def columns(name, result):
    """Heading and content of each column of a case's table."""
    if name == "memory":
        return {"MB more": figure("extra_mb", ".1f")}
    if name == "start":
        return {"ms": figure("start_ms", ".0f")}
    if name == "idle-streams":
        return {
            "streams open": figure("streams", ",.0f"),
            "errors": figure("errors", ",.0f"),
            "KB / stream": figure("kb_per_stream", ".1f"),
            "µs processor / event (user + system)": processor(".1f"),
            f"× {REFERENCE}": times("cpu_us"),
            f"× {BEFORE}": times("cpu_us", BEFORE),
            "µs processor / stream and second": figure("stream_second_us", ".1f"),
        }
    if name == "loops":
        return {
            "µs processor / request, one loop": figure("one_cpu_us", ".1f"),
            "two loops": figure("two_cpu_us", ".1f"),
            "dearer by": figure("dearer", ".2f"),
            "requests/s, one loop": figure("one_per_s", ",.0f"),
            "two loops ": figure("two_per_s", ",.0f"),
            "two to one, estimated" if result["estimated"] else "two to one": figure("two_to_one", ".2f"),
        }
    unit = "event" if name == "stream" else "request"
    return {
        f"µs processor / {unit} (user + system)": processor(".1f"),
        f"× {REFERENCE}": times("cpu_us"),
        f"× {BEFORE}": times("cpu_us", BEFORE),
        f"{unit}s/s": figure("per_s", ",.0f"),
        "p50 ms": figure("p50_us", ".3f", 0.001),
        "p99 ms": figure("p99_us", ".3f", 0.001),
        "added µs": figure("added_us", ".0f"),
        f"× {REFERENCE} ": times("added_us"),
        "RSS MB": figure("memory_mb", ".0f"),
    }


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
    return f"{name}, {os.cpu_count()} cores, Linux {platform.release()}"


def report(results, versions):
    print(f"{datetime.date.today()} · {' · '.join(versions)} · {machine()}\n")
    for name, result in results.items():
        medians = result["medians"]
        shown = {
            heading: [show(row, result, proxy) for proxy, row in medians.items()]
            for heading, show in columns(name, result).items()
        }
        shown = {heading: cells for heading, cells in shown.items() if set(cells) != {MISSING}}
        print(f"### {result['title']}\n")
        print(table(["", *shown], [list(row) for row in zip(medians, *shown.values())]))


def measured(results, case, key, unit):
    """llama-balancer's figure, or how many times HAProxy's it is; None where the case or a proxy was not measured."""
    result = results.get(case)
    if result is None or Balancer.name not in result["medians"]:
        return None
    return ratio(result, Balancer.name, key) if unit == "×" else result["medians"][Balancer.name][key]


def targets_met(results):
    """Each target that was measured, with what was reached."""
    met = []
    for case, key, unit, sign, limit in TARGETS:
        value = measured(results, case, key, unit)
        if value is not None:
            reached = value <= limit if sign == "≤" else value >= limit
            met.append({
                "case": case, "figure": key, "unit": unit, "measured": value, "target": f"{sign} {limit}", "reached": reached,
                "estimated": results[case].get("estimated", False),
            })  # fmt: skip
    return met


def report_targets(met):
    if not met:
        return
    rows = [
        [
            f"{row['case']}: {row['figure']}"
            + (f" against {REFERENCE}" if row["unit"] == "×" else "")
            + (", estimated" if row["estimated"] else ""),
            f"{row['measured']:.2f} {row['unit']}",
            f"{row['target']} {row['unit']}",
            "reached" if row["reached"] else "**missed**",
        ]
        for row in met
    ]
    print("### Targets\n\n" + table(["", "measured", "target", ""], rows))
