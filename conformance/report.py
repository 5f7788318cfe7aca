"""Results for people: lines while it runs, a table at the end, Markdown for several proxies."""

import shutil
import sys

def tell(result):
    print(f"{result.verdict:5} {result.id:28} {result.seconds:6.1f} s  {result.detail[:110]}", file=sys.stderr, flush=True)


def table(results):
    """Group by group: verdict, id, the promise, and what was measured."""
    width = max(100, shutil.get_terminal_size((160, 40)).columns)
    lines, group = [], None
    for result in results:
        if result.group != group:
            group = result.group
            lines += ["", group.upper()]
        lines.append(f"  {result.verdict:5} {result.promise}  [{result.id}]")
        if result.detail:
            lines.append(f"        {result.detail[: width - 8]}")
    return "\n".join(lines) + "\n"


def markdown(documents):
    """Rows are promises, columns are proxies: first the sums of each group, then all."""
    order = {}
    for document in documents:
        for result in document["results"]:
            order.setdefault(result["id"], result)
    found = [{result["id"]: result for result in document["results"]} for document in documents]
    names = [document["proxy"] for document in documents]
    groups = list(dict.fromkeys(result["group"] for result in order.values()))
    notes = {}

    def note(reason):
        return notes.setdefault(reason, len(notes) + 1)

    def cell(results, id):
        result = results.get(id)
        if result is None:
            return ""
        if result["verdict"] == "n.a.":
            return f"n.a.[^{note(result['detail'])}]"
        return "**FAIL**" if result["verdict"] == "FAIL" else "pass"

    def sums(results, group):
        mine = [result for result in results.values() if result["group"] == group]
        passed = sum(result["verdict"] == "pass" for result in mine)
        judged = sum(result["verdict"] != "n.a." for result in mine)
        return f"{passed} of {judged}" if judged else "–"

    def row(cells):
        return "| " + " | ".join(cells) + " |"

    lines = ["<!-- made by conformance/run.py --merge -->", ""]
    lines += [row(["Kept, of those that apply", *names]), row(["---"] + [":---:"] * len(names))]
    lines += [row([group, *(sums(results, group) for results in found)]) for group in groups]
    totals = [[r["verdict"] for r in results.values()] for results in found]
    lines.append(row(["**all**", *(f"**{t.count('pass')} of {len(t) - t.count('n.a.')}**" for t in totals)]))
    for group in groups:
        lines += ["", f"### {group[0].upper()}{group[1:]}", "", row(["Promise", *names]), row(["---"] + [":---:"] * len(names))]
        for id, result in order.items():
            if result["group"] == group:
                promise = result["promise"].replace("|", "\\|")
                lines.append(row([promise, *(cell(results, id) for results in found)]))
    lines += ["", *(f"[^{number}]: {reason}." for reason, number in notes.items())]
    return "\n".join(lines) + "\n"
