"""A line graph as SVG text: a logarithmic x axis, y from zero, every measured value written next to its point."""

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 84, 40, 56, 60  # margins around the plot
COLOURS = ["#0b62c4", "#c2410c", "#15803d"]
STYLE = (
    "text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-size: 16px; font-weight: 600 } "
    ".axis { fill: #57606a } .grid { stroke: #d8dee4 } "
    ".value { font-size: 12px; font-weight: 600; paint-order: stroke; stroke: #ffffff; stroke-width: 3px }"
)


@dataclass
class Series:
    name: str
    points: list  # of (x, y)


def short(value):
    """1,234 or 12.3 or 0.123: three digits are enough, whole numbers in full."""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def ticks(highest):
    """About five round numbers from zero to above the highest value, so that there is room for its label."""
    step = 10 ** math.floor(math.log10(highest / 5))
    step *= next(factor for factor in (1, 2, 5, 10) if highest / (step * factor) <= 5)
    return [step * number for number in range(math.floor(highest / step) + 2)]


def text(x, y, words, anchor="middle", kind="axis", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}"{more}>{escape(words)}</text>'


def line_graph(title, x_label, y_label, series):
    """The graph on a white card of its own, so that it can be read on a white and on a dark page."""
    xs = sorted({x for one in series for x, _ in one.points})
    y_ticks = ticks(max(y for one in series for _, y in one.points) or 1)
    low, high = math.log10(xs[0]), math.log10(xs[-1])

    def place(x, y):
        across = (math.log10(x) - low) / (high - low) if high > low else 0.5
        return LEFT + 20 + across * (WIDTH - LEFT - RIGHT - 40), HEIGHT - BOTTOM - y / y_ticks[-1] * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8" fill="#ffffff" stroke="#d8dee4"/>',
        text(WIDTH / 2, 28, title, kind="title"),
        text(WIDTH / 2, HEIGHT - 16, f"{x_label} (logarithmic)"),
        text(20, HEIGHT / 2, y_label, more=f' transform="rotate(-90 20 {HEIGHT / 2})"'),
    ]
    for tick in y_ticks:
        _, y = place(xs[0], tick)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(text(LEFT - 8, y + 4, short(tick), anchor="end"))
    for x in xs:
        parts.append(text(place(x, 0)[0], HEIGHT - BOTTOM + 20, short(x)))
    for number, one in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(x, y) for x, y in sorted(one.points)]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="2"/>')
        below = number % 2 == 1  # the second line's values go under their points, out of the first one's way
        for (x, y), (_, value) in zip(places, sorted(one.points)):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
            parts.append(text(x, y + (20 if below else -10), short(value), kind="value", more=f' style="fill: {colour}"'))
        if one.name:
            parts.append(text(LEFT + 20 + 150 * number, TOP - 8, f"● {one.name}", "start", "value", f' style="fill: {colour}"'))
    return "\n".join([*parts, "</svg>"]) + "\n"
