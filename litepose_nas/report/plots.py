"""Plots as SVG text: the plane of cost and score with the front, and who wins with how many people in an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from litepose_nas.budget import CONVENTIONS, Budget, is_bound, latency_in_words, predicted_field
from litepose_nas.report import times
from litepose_nas.report.summary import Summary
from litepose_nas.search.pareto import front
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.ranking import FAILED
from litepose_nas.space import Arch
from litepose_nas.untrusted.display import in_html

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 56, 60  # margins, for titles and numbers
LINE = 14  # height of a line of text
GREY, BLUE, RED, GREEN = "#9aa5b1", "#1f6fb4", "#c8402f", "#2e7d4f"  # told apart by lightness and by shape too
COLOURS = (BLUE, "#c77b1e", "#3c8d5a", "#8a5aa8", "#7a6a58")  # of families
# Told apart by shape too: a circle, a square, a triangle, one upside down, a diamond.
SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "M-3.5-3.5h7v7h-7Z",
    "M-4 3.5h8L0-4.5Z",
    "M-4-3.5h8L0 4.5Z",
    "M0-5L5 0 0 5-5 0Z",
)


class Axis(NamedTuple):
    """One axis: the range of values, the range of pixels, and where its lines are."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


class _Plane:
    """The plane of a search: scores upwards, to the right MACs in the budget's convention, the budget as a line.

    Of a search by time it is the time instead.
    """

    def __init__(
        self,
        shown: Sequence[Evaluated],
        budget: Budget,
        x_title: str,
        y_title: str,
        time: str = "",
        measured: Mapping[Arch, float] | None = None,
    ):
        self.field = time or CONVENTIONS[budget.convention]
        limit = next((limit.most for limit in budget.limits if limit.field == self.field), None)
        self.measured = {arch: ms for arch, ms in (measured or {}).items() if ms < math.inf}
        xs, scores = [self.cost(one) for one in shown] or [0], [one.score for one in shown] or [0.0, 1.0]
        xs = [*xs, *(self.predicted(one) for one in shown), *self.measured.values()] if time else xs
        most = max([*xs, limit] if limit and limit <= 1.5 * max(xs) else xs)  # one far away squeezes the rest
        units = ((1e9, "GMAC"), (1e6, "MMAC"), (1e3, "kMAC"), (0.0, "MAC"))
        bound = ", the upper bound" if is_bound(time) else ""
        unit, name = (1.0, f"ms{bound}") if time else next(pair for pair in units if most >= pair[0])
        self.unit = unit or 1.0
        self.x = scale(min(xs) / self.unit, most / self.unit, LEFT, WIDTH - RIGHT)
        self.y = scale(min(scores), max(scores), HEIGHT - BOTTOM, TOP)
        self.marks = axes(self.x, self.y, f"{name}{x_title}", y_title)
        if limit and limit <= most:
            at = self.x.at(limit / self.unit)
            self.marks.append(f'<path d="M{at} {TOP}V{HEIGHT - BOTTOM}" stroke="{RED}" stroke-dasharray="6 4"/>')
            self.marks.append(text(at - 6, HEIGHT - BOTTOM - 8, "budget", "end", RED))

    def cost(self, one: Evaluated) -> float:
        return float(getattr(one.cost, self.field))

    def predicted(self, one: Evaluated) -> float:
        return float(getattr(one.cost, predicted_field(self.field)))

    def place(self, one: Evaluated) -> tuple[float, float]:
        return self.x.at(self.cost(one) / self.unit), self.y.at(one.score)

    def stairs(self, line: Sequence[Evaluated], colour: str, width: float, name: str) -> None:
        """Draw a front: what it dominates is below it."""
        if line:
            steps = "".join(f"H{x}V{y}" for x, y in map(self.place, line))
            way = "M{} {}".format(*self.place(line[0])) + steps
            self.marks.append(f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="{width}" class="{name}"/>')

    def noise(self, one: Evaluated, spread: float, colour: str) -> None:
        """Draw a bar as far as the noise, the standard deviation of an evaluation, to either side."""
        x, _ = self.place(one)
        top, bottom = (min(max(self.y.at(one.score + side * spread), TOP), HEIGHT - BOTTOM) for side in (1, -1))
        bar = f"M{x - 4} {top}h8M{x - 4} {bottom}h8M{x} {top}V{bottom}"
        self.marks.append(f'<path d="{bar}" stroke="{colour}" class="noise"/>')

    def error(self, one: Evaluated, colour: str) -> None:
        """Draw a bar from the time predicted to its upper bound."""
        x, y = self.place(one)
        bar = f"M{self.x.at(self.predicted(one))} {y - 4}v8m0-4H{x}"
        self.marks.append(f'<path d="{bar}" fill="none" stroke="{colour}" class="error"/>')

    def took(self, one: Evaluated) -> None:
        """Draw a cross at the time that was measured, if it was."""
        if one.arch in self.measured:
            x, y = self.x.at(self.measured[one.arch]), self.y.at(one.score)
            cross, hint = f"M{x - 4} {y - 4}l8 8m0-8l-8 8", f"<title>measured {self.measured[one.arch]:.4g} ms</title>"
            style = f'fill="none" stroke="{GREEN}" stroke-width="2" class="measured"'
            self.marks.append(f'<path d="{cross}" {style}>{hint}</path>')

    def chosen(self, one: Evaluated, size: int, hint: str = "") -> None:
        x, y = self.place(one)
        shape = f"M{x} {y - size}L{x + size} {y}L{x} {y + size}L{x - size} {y}Z"
        style = f'fill="none" stroke="{RED}" stroke-width="2.5" class="chosen"'
        self.marks.append(f'<path d="{shape}" {style}>{hint}</path>' if hint else f'<path d="{shape}" {style}/>')


def picture(
    found: Sequence[Evaluated],
    budget: Budget | None = None,
    chosen: Evaluated | None = None,
    title: str = "Search",
    score: str = "score",
    noise: float | None = None,
    time: str = "",
    measured: Mapping[Arch, float] | None = None,
) -> str:
    """Everything evaluated of one family, with the front and its noise, over MACs or over a time in the costs.

    Where that time is an upper bound, bars begin at the prediction; `measured` are the times of networks that were
    measured.
    """
    budget = budget or Budget()
    shown = [one for one in found if one.score != FAILED]
    line = front(shown, budget, (time,) if time else ())
    counted = "" if time or budget.convention == "exact" else f", as {budget.convention} counts"
    plane = _Plane(shown, budget, counted, score, time, measured)
    marks = plane.marks

    def dot(one: Evaluated, radius: int, style: str) -> None:
        cx, cy = plane.place(one)
        marks.append(f'<circle cx="{cx}" cy="{cy}" r="{radius}" {style}>{_hint(one, budget)}</circle>')

    for one in shown:
        dot(one, 3, f'fill="{GREY}" class="evaluated"')
    plane.stairs(line, BLUE, 2, "front")
    for one in line:
        if noise:
            plane.noise(one, noise, BLUE)
        if is_bound(time):
            plane.error(one, BLUE)
        dot(one, 4, f'fill="{BLUE}"')
    for one in shown:
        plane.took(one)
    if chosen:
        plane.chosen(chosen, 9, _hint(chosen, budget))
    failed = f", {len(found) - len(shown)} failed" if len(shown) < len(found) else ""
    marks.append(text(LEFT, 22, title, "start", "#111", 16))
    parts = [
        (GREY, f"● {len(shown)} evaluated{failed}"),
        (BLUE, f"● front of {len(line)}{', ± noise' if noise else ''}"),
        (RED, "◇ chosen" if chosen else ""),
        *([(GREEN, "× measured")] if plane.measured else []),
    ]
    for i, (colour, words) in enumerate(parts):
        marks.append(text(LEFT + 170 * i, 42, words, "start", colour))
    return svg(marks)


def families(found: Summary) -> str:
    """Everything evaluated of several families: AP over the MACs of an image, the front of all and of each."""
    budget, record = found.budget, found.record
    shown = [one for one in found.found if one.score != FAILED]
    people = f" with {found.workload.number} people" if record.needs_boxes else ""
    time = times.axis(found)
    plane = _Plane(shown, budget, f" of a picture{people}", "AP", time, times.measured_by(found, time))
    plane.stairs(found.front, "#c9d1d9", 6, "front")
    noise = {one.family: one.noise for one in found.comparison.choices if one.noise}
    for one in found.front:
        if spread := noise.get(record.family_of(one)):
            plane.noise(one, spread, GREY)
        if is_bound(time):
            plane.error(one, GREY)
    for name, (colour, shape) in _styles(found).items():
        own = [one for one in shown if record.family_of(one) == name]
        plane.stairs(front(own, budget, (time,) if time else ()), colour, 1.5, "of-a-family")
        for one in own:
            where = "translate({:g} {:g})".format(*plane.place(one))
            style = f'transform="{where}" fill="{colour}" class="evaluated"'
            plane.marks.append(f'<path d="{shape}" {style}>{_hint(one, budget, "AP")}</path>')
    for one in shown:
        plane.took(one)
    plane.chosen(found.chosen, 10)
    title = text(LEFT, 22, f"{len(found.found)} networks of {len(record.families)} families", "start", "#111", 16)
    more = f"{'× measured, ' if plane.measured else ''}grey: front of all"
    return svg([*plane.marks, title, *_key(found, "◇", more)])


def crossing(found: Summary) -> str:
    """The AP of each family's best within the budget over the number of people in an image."""
    aps = [one.ap for _, comparison in found.people if comparison for one in comparison.choices] or [0.0, 1.0]
    x = Axis(0.5, len(found.people) + 0.5, LEFT, WIDTH - RIGHT, tuple(float(people) for people, _ in found.people))
    y = scale(min(aps), max(aps), HEIGHT - BOTTOM, TOP)
    marks = axes(x, y, "people in a picture", "AP of the best within the budget")
    for name, (colour, shape) in _styles(found).items():
        line = [
            (x.at(people), y.at(one.ap), one is comparison.winner)
            for people, comparison in found.people
            if comparison
            for one in comparison.choices
            if one.family == name
        ]
        if line:
            way = "L".join(f"{px} {py}" for px, py, _ in line)
            marks.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="1.5" class="of-a-family"/>')
        for px, py, wins in line:
            marks.append(f'<path d="{shape}" transform="translate({px:g} {py:g})" fill="{colour}"/>')
            if wins:
                marks.append(
                    f'<circle cx="{px}" cy="{py}" r="8" fill="none" stroke="{RED}" stroke-width="2" class="wins"/>'
                )
    title = text(LEFT, 22, "Who wins with how many people in a picture", "start", "#111", 16)
    return svg([*marks, title, *_key(found, "○")])


def _styles(found: Summary) -> dict[str, tuple[str, str]]:
    names = list(found.record.families)
    return {name: (COLOURS[at % len(COLOURS)], SHAPES[at % len(SHAPES)]) for at, name in enumerate(names)}


def _key(found: Summary, winner: str, more: str = "") -> list[str]:
    marks, left = [], float(LEFT)
    for name, (colour, shape) in _styles(found).items():
        marks.append(f'<path d="{shape}" transform="translate({left + 5:g} 38)" fill="{colour}"/>')
        marks.append(text(left + 14, 42, name, "start", colour))
        left += 30 + 7 * len(name)
    return [*marks, text(left, 42, f"{winner} winner", "start", RED), text(WIDTH - RIGHT, 42, more, "end", GREY)]


def svg(marks: Sequence[str], width: float = WIDTH, height: float = HEIGHT) -> str:
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}'
    style = 'font-family="sans-serif" font-size="12"'
    return "\n".join([f"{head} {style}>", '<rect width="100%" height="100%" fill="white"/>', *marks, "</svg>", ""])


def axes(x: Axis, y: Axis, x_title: str, y_title: str) -> list[str]:
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


def scale(low: float, high: float, start: float, end: float) -> Axis:
    """An axis with a little room at both ends and round numbers on it."""
    span = high - low or abs(high) or 1.0
    low, high = low - 0.05 * span, high + 0.05 * span
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(size for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Axis(low, high, start, end, tuple(i * step for i in range(first, last + 1)))


def text(x: float, y: float, words: str, anchor: str, colour: str = "#333", size: int = 12) -> str:
    style = f'text-anchor="{anchor}" fill="{colour}" font-size="{size}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{in_html(words)}</text>'


class Label(NamedTuple):
    """Words beside a mark in a plot."""

    x: float  # of the mark
    y: float
    words: str
    colour: str


def labels(wanted: Sequence[Label]) -> list[str]:
    """Texts to the right of their marks, or left where there is no room; one below the other where they meet."""
    marks: list[str] = []
    taken: list[tuple[float, float, float]] = []  # left, right and height of each text
    for label in sorted(wanted, key=lambda one: one.y):
        width = 6.5 * len(label.words)
        over = label.x + 9 + width > WIDTH - RIGHT
        left = label.x - 9 - width if over else label.x + 9
        y = label.y + 4
        for start, end, height in taken:  # from the top down, as they were placed
            if start < left + width and left < end and abs(y - height) < LINE:
                y = height + LINE
        taken.append((left, left + width, y))
        taken.sort(key=lambda text: text[2])
        marks.append(text(label.x + (-9 if over else 9), y, label.words, "end" if over else "start", label.colour))
    return marks


def _hint(one: Evaluated, budget: Budget, score: str = "score") -> str:
    """What a browser shows when the pointer rests on a network."""
    words = f"{score} {one.score:.4g}, {budget.macs(one.cost):,} MACs{latency_in_words(one.cost)}"
    return f"<title>{in_html(words)}</title>"
