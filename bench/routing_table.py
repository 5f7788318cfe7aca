"""What the runs say: one line for each, and tables in Markdown."""

import math
import statistics

from report import MISSING, table
from routing_proxies import Ours

FIGURES = {"first_mean": "Mean time to the first token", "total_mean": "Mean time to the end of the answer"}


def summary(run):
    """A run in one line."""
    parts = [f"{run['fleet']} {run['workload']} seed {run['seed']} {run['proxy']}:"]
    for kind, figures in run["kinds"].items():
        parts.append(
            f"{figures['requests']} {kind}s, first {figures['first_mean']:.2f} s (p90 {figures['first_p90']:.2f}), "
            f"total {figures['total_mean']:.2f} s, cached {figures['cached']:.0%},"
        )
        if figures["unfinished"]:
            parts.append(f"{figures['unfinished']} unfinished,")
    if run["failed"]:
        parts.append(f"{run['failed']} FAILED,")
    if run["moved"] is not None:
        parts.append(f"moved {run['moved']:.0%},")
    lag = f"lag {run['lag_ms']['player']:.1f} and {run['lag_ms']['fleet']:.1f} ms"
    return " ".join(parts) + f" {lag}" + ("" if run["valid"] else " INVALID")


def by_cell(runs):
    """The valid runs' figures: {(fleet, workload, kind): {proxy: {figure: mean over the seeds}}}, in the order of the runs.

    Then the seeds of each cell: those that all of its proxies played, because seeds differ by more than proxies do."""
    played = {}
    for run in runs:
        if run["valid"]:
            played.setdefault((run["fleet"], run["workload"]), {}).setdefault(run["proxy"], {})[run["seed"]] = run["kinds"]
    cells, common = {}, {}
    for (fleet, workload), proxies in played.items():
        seeds = set.intersection(*(set(seeds) for seeds in proxies.values()))
        common[fleet, workload] = sorted(seeds)
        for kind in sorted({kind for kinds in proxies.values() for seed in seeds for kind in kinds[seed]}):
            cells[fleet, workload, kind] = {
                proxy: {key: statistics.fmean(kinds[seed][kind][key] for seed in seeds) for key in FIGURES}
                for proxy, kinds in proxies.items()
            }
    return cells, common


def geometric_mean(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios))) if ratios else None


def shown_ratio(value):
    return MISSING if value is None else f"{value:.2f}"


def cell_name(cell, cells):
    fleet, workload, kind = cell
    several = sum(other[:2] == cell[:2] for other in cells) > 1
    return f"{fleet}, {workload}" + (f": {kind}s" if several else "")


def rows_of(cells, names, figure):
    """A row for each cell, with ours against the best other at its end; then the geometric mean of each in terms of ours."""
    rows, best_ratios, others = [], [], {name: [] for name in names}
    for cell, proxies in cells.items():
        values = {name: proxies[name][figure] for name in names if name in proxies}
        ours = values.get(Ours.name)
        best = min((value for name, value in values.items() if name != Ours.name), default=None)
        ratio = ours / best if ours and best else None
        if ratio:
            best_ratios.append(ratio)
        for name, value in values.items():
            if ours:
                others[name].append(value / ours)
        shown = [f"{values[name]:.2f}" if name in values else MISSING for name in names]
        rows.append([cell_name(cell, cells), *shown, shown_ratio(ratio)])
    means = [shown_ratio(geometric_mean(others[name])) for name in names]
    return rows + [["geometric mean, relative to ours", *means, shown_ratio(geometric_mean(best_ratios))]]


def seeds_told(seeds):
    """Which seeds the cells have: all the same, or some these and some those."""
    cells = {}
    for (fleet, workload), numbers in seeds.items():
        told = ("seeds " if len(numbers) > 1 else "seed ") + " and ".join(map(str, numbers))
        cells.setdefault(told, []).append(f"{fleet}, {workload}")
    if len(cells) == 1:
        return next(iter(cells))
    return " and of ".join(f"{told} ({'; '.join(names)})" for told, names in cells.items())


def print_tables(runs):
    cells, seeds = by_cell(runs)
    names = list(dict.fromkeys(run["proxy"] for run in runs))
    if not cells:
        return print("no valid runs")
    print(" · ".join(dict.fromkeys(run["version"] for run in runs)) + "\n")
    print(f"Virtual seconds. Means of {seeds_told(seeds)}.\n")
    for figure, title in FIGURES.items():
        print(f"{title}:\n\n" + table(["", *names, "ours to the best other"], rows_of(cells, names, figure)))
    if invalid := [run for run in runs if not run["valid"]]:
        print(f"{len(invalid)} of {len(runs)} runs were late and do not count.")
