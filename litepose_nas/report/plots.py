"""A picture of a search as SVG text: everything evaluated, the front, the chosen network, the budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from litepose_nas.budget import Budget
from litepose_nas.search.pareto import front
from litepose_nas.search.problem import FAILED, Evaluated

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 56, 60  # margins, for titles and numbers
GREY, BLUE, RED = "#9aa5b1", "#1f6fb4", "#c8402f"  # told apart by lightness and by shape too


class Scale(NamedTuple):
    """One axis: the range of values, the range of pixels, and where its lines are."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def picture(
    found: Sequence[Evaluated],
    budget: Budget | None = None,
    chosen: Evaluated | None = None,
    title: str = "Search",
    score: str = "score",
    noise: float | None = None,
) -> str:
    """Return a search as a self-contained SVG: scores upwards, MACs in the budget's convention to the right.

    Bars on the front reach as far as the noise, the standard deviation of an evaluation, to either side.
    """
    budget = budget or Budget()
    shown = [one for one in found if one.score != FAILED]
    line = front(shown, budget)
    limit = next((limit.most for limit in budget.limits if limit.field.startswith("macs")), None)
    macs = [budget.macs(one.cost) for one in shown] or [0]
    most = max([*macs, limit] if limit and limit <= 1.5 * max(macs) else macs)  # one far away would squeeze the rest
    unit, prefix = next(((u, p) for u, p in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if most >= u), (1.0, ""))
    x = scale(min(macs) / unit, most / unit, LEFT, WIDTH - RIGHT)
    y = scale(
        min((one.score for one in shown), default=0), max((one.score for one in shown), default=1), HEIGHT - BOTTOM, TOP
    )

    def place(one: Evaluated) -> tuple[float, float]:
        return x.at(budget.macs(one.cost) / unit), y.at(one.score)

    counted = "" if budget.convention == "exact" else f", as {budget.convention} counts"
    marks = axes(x, y, f"{prefix}MAC{counted}", score)
    if limit and limit <= most:
        at = x.at(limit / unit)
        marks.append(f'<path d="M{at} {TOP}V{HEIGHT - BOTTOM}" stroke="{RED}" stroke-dasharray="6 4"/>')
        marks.append(text(at - 6, HEIGHT - BOTTOM - 8, "budget", "end", RED))
    for one in shown:
        cx, cy = place(one)
        marks.append(f'<circle cx="{cx}" cy="{cy}" r="3" fill="{GREY}" class="evaluated">{_hint(one, budget)}</circle>')
    if line:
        steps = "".join(f"H{px}V{py}" for px, py in map(place, line))  # stairs: what the front dominates is below them
        start = "M{} {}".format(*place(line[0]))
        marks.append(f'<path d="{start}{steps}" fill="none" stroke="{BLUE}" stroke-width="2" class="front"/>')
    for one in line:
        cx, cy = place(one)
        if noise:
            top, bottom = (min(max(y.at(one.score + side * noise), TOP), HEIGHT - BOTTOM) for side in (1, -1))
            bar = f"M{cx - 4} {top}h8M{cx - 4} {bottom}h8M{cx} {top}V{bottom}"
            marks.append(f'<path d="{bar}" stroke="{BLUE}" class="noise"/>')
        marks.append(f'<circle cx="{cx}" cy="{cy}" r="4" fill="{BLUE}">{_hint(one, budget)}</circle>')
    if chosen:
        cx, cy = place(chosen)
        shape = f"M{cx} {cy - 9}L{cx + 9} {cy}L{cx} {cy + 9}L{cx - 9} {cy}Z"
        style = f'fill="none" stroke="{RED}" stroke-width="2.5" class="chosen"'
        marks.append(f'<path d="{shape}" {style}>{_hint(chosen, budget)}</path>')
    failed = f", {len(found) - len(shown)} failed" if len(shown) < len(found) else ""
    marks.append(text(LEFT, 22, title, "start", "#111", 16))
    parts = [
        (GREY, f"● {len(shown)} evaluated{failed}"),
        (BLUE, f"● front of {len(line)}{', ± noise' if noise else ''}"),
        (RED, "◇ chosen" if chosen else ""),
    ]
    for i, (colour, words) in enumerate(parts):
        marks.append(text(LEFT + 170 * i, 42, words, "start", colour))
    return svg(marks)


def svg(marks: Sequence[str], width: float = WIDTH, height: float = HEIGHT) -> str:
    """Return marks as a whole picture."""
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}'
    style = 'font-family="sans-serif" font-size="12"'
    return "\n".join([f"{head} {style}>", '<rect width="100%" height="100%" fill="white"/>', *marks, "</svg>", ""])


def axes(x: Scale, y: Scale, x_title: str, y_title: str) -> list[str]:
    """Return the marks of two axes with their titles and a grid."""
    marks = []
    for value in y.ticks:
        marks.append(f'<path d="M{LEFT} {y.at(value)}H{WIDTH - RIGHT}" stroke="#e5e8eb"/>')
        marks.append(text(LEFT - 8, y.at(value) + 4, f"{value:.6g}", "end"))
    for value in x.ticks:
        marks.append(f'<path d="M{x.at(value)} {HEIGHT - BOTTOM}v5" stroke="#444"/>')
        marks.append(text(x.at(value), HEIGHT - BOTTOM + 20, f"{value:.6g}", "middle"))
    marks.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#444"/>')
    marks.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, x_title, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    marks.append(f'<g transform="rotate(-90 18 {middle})">{text(18, middle, y_title, "middle")}</g>')
    return marks


def scale(low: float, high: float, start: float, end: float) -> Scale:
    """Return an axis with a little room at both ends and round numbers on it."""
    span = high - low or abs(high) or 1.0
    low, high = low - 0.05 * span, high + 0.05 * span
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(size for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Scale(low, high, start, end, tuple(i * step for i in range(first, last + 1)))


def text(x: float, y: float, words: str, anchor: str, colour: str = "#333", size: int = 12) -> str:
    """Return words at a place."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{escape(words)}</text>'


def _hint(one: Evaluated, budget: Budget) -> str:
    """Return what a browser shows when the pointer rests on a network."""
    return f"<title>{escape(f'score {one.score:.4g}, {budget.macs(one.cost):,} MACs')}</title>"
