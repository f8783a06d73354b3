"""Pictures of a search across families: everything in one plane, and who wins with how many people in a picture."""

from __future__ import annotations

from collections.abc import Sequence

from litepose_nas.report.across import Summary
from litepose_nas.report.plots import (
    BOTTOM,
    GREY,
    HEIGHT,
    LEFT,
    RED,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    axes,
    scale,
    svg,
    text,
)
from litepose_nas.search.comparison import Comparison
from litepose_nas.search.pareto import front
from litepose_nas.search.problem import FAILED
from litepose_nas.search.workload import RUNS

COLOURS = ("#1f6fb4", "#c77b1e", "#3c8d5a", "#8a5aa8", "#7a6a58")
# Told apart by shape too: a circle, a square, a triangle, one upside down, a diamond.
SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "M-3.5-3.5h7v7h-7Z",
    "M-4 3.5h8L0-4.5Z",
    "M-4-3.5h8L0 4.5Z",
    "M0-5L5 0 0 5-5 0Z",
)


def plane(found: Summary) -> str:
    """Return everything evaluated as SVG, AP upwards, MACs of a picture to the right; the front of all as stairs."""
    budget, across = found.budget, found.across
    shown = [one for one in found.found if one.score != FAILED]
    limit = next((limit.most for limit in budget.limits if limit.field in RUNS[:2]), None)
    macs = [budget.macs(one.cost) for one in shown] or [0]
    most = max([*macs, limit] if limit and limit <= 1.5 * max(macs) else macs)
    unit, prefix = next(((u, p) for u, p in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if most >= u), (1.0, ""))
    x = scale(min(macs) / unit, most / unit, LEFT, WIDTH - RIGHT)
    aps = [one.score for one in shown] or [0.0, 1.0]
    y = scale(min(aps), max(aps), HEIGHT - BOTTOM, TOP)
    people = f" with {found.picture.number} people" if across.needs_boxes else ""
    marks = axes(x, y, f"{prefix}MAC of a picture{people}", "AP")
    if limit and limit <= most:
        at = x.at(limit / unit)
        marks.append(f'<path d="M{at} {TOP}V{HEIGHT - BOTTOM}" stroke="{RED}" stroke-dasharray="6 4"/>')
        marks.append(text(at - 6, HEIGHT - BOTTOM - 8, "budget", "end", RED))

    def stairs(line: Sequence[tuple[float, float]], colour: str, width: float, name: str) -> None:
        if line:
            steps = "".join(f"H{px}V{py}" for px, py in line)
            start = f"M{line[0][0]} {line[0][1]}"
            marks.append(
                f'<path d="{start}{steps}" fill="none" stroke="{colour}" stroke-width="{width}" class="{name}"/>'
            )

    place = {one.arch: (x.at(budget.macs(one.cost) / unit), y.at(one.score)) for one in shown}
    stairs([place[one.arch] for one in found.front], "#c9d1d9", 6, "front")
    noise = {one.family: one.noise for one in found.comparison.choices if one.noise}
    for one in found.front:
        if spread := noise.get(across.family_of(one)):
            cx, top, bottom = place[one.arch][0], *(y.at(one.score + side * spread) for side in (1, -1))
            bar = f"M{cx - 4} {top}h8M{cx - 4} {bottom}h8M{cx} {top}V{bottom}"
            marks.append(f'<path d="{bar}" stroke="{GREY}" class="noise"/>')
    for number, name in enumerate(across.pasts):
        own = [one for one in shown if across.family_of(one) == name]
        colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
        stairs([place[one.arch] for one in front(own, budget)], colour, 1.5, "of-a-family")
        for one in own:
            hint = f"<title>AP {one.score:.4g}, {budget.macs(one.cost):,} MACs</title>"
            where = "translate({:g} {:g})".format(*place[one.arch])
            marks.append(f'<path d="{shape}" transform="{where}" fill="{colour}" class="evaluated">{hint}</path>')
    cx, cy = place[found.comparison.winner.one.arch]
    marks.append(
        f'<path d="M{cx} {cy - 10}L{cx + 10} {cy}L{cx} {cy + 10}L{cx - 10} {cy}Z" fill="none" stroke="{RED}" '
        'stroke-width="2.5" class="chosen"/>'
    )
    return svg(
        [
            *marks,
            text(LEFT, 22, f"{len(found.found)} networks of {len(across.pasts)} families", "start", "#111", 16),
            *_key(found, "◇", "grey: front of all"),
        ]
    )


def crossing(found: Summary) -> str:
    """Return as SVG the AP of each family's best within the budget over the number of people in a picture."""
    aps = [one.ap for _, comparison in found.people if comparison for one in comparison.choices] or [0.0, 1.0]
    x = Scale(0.5, len(found.people) + 0.5, LEFT, WIDTH - RIGHT, tuple(float(people) for people, _ in found.people))
    y = scale(min(aps), max(aps), HEIGHT - BOTTOM, TOP)
    marks = axes(x, y, "people in a picture", "AP of the best within the budget")
    for number, name in enumerate(found.across.pasts):
        colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
        line = [
            (x.at(people), y.at(ap), comparison)
            for people, comparison in found.people
            if comparison and (ap := _ap(comparison, name)) is not None
        ]
        if line:
            way = "L".join(f"{px} {py}" for px, py, _ in line)
            marks.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="1.5" class="of-a-family"/>')
        for px, py, comparison in line:
            marks.append(f'<path d="{shape}" transform="translate({px:g} {py:g})" fill="{colour}"/>')
            if comparison.winner.family == name:
                marks.append(
                    f'<circle cx="{px}" cy="{py}" r="8" fill="none" stroke="{RED}" stroke-width="2" class="wins"/>'
                )
    title = text(LEFT, 22, "Who wins with how many people in a picture", "start", "#111", 16)
    return svg([*marks, title, *_key(found, "○")])


def _ap(comparison: Comparison, family: str) -> float | None:
    return next((one.ap for one in comparison.choices if one.family == family), None)


def _key(found: Summary, winner: str, more: str = "") -> list[str]:
    marks, left = [], float(LEFT)
    for number, name in enumerate(found.across.pasts):
        colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number % len(SHAPES)]
        marks.append(f'<path d="{shape}" transform="translate({left + 5:g} 38)" fill="{colour}"/>')
        marks.append(text(left + 14, 42, name, "start", colour))
        left += 30 + 7 * len(name)
    return [*marks, text(left, 42, f"{winner} winner", "start", RED), text(WIDTH - RIGHT, 42, more, "end", GREY)]
