"""What the budget buys: pictures of what the networks of a front choose, and of which choices matter."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from litepose_nas.budget import Budget
from litepose_nas.report.genes import Matter, kind_of, place_of
from litepose_nas.report.plots import BLUE, GREY, scale, svg, text
from litepose_nas.search.problem import Evaluated
from litepose_nas.space import Gene

MOST = 14  # networks in a picture; of more, some that are evenly far apart
LEFT, TOP, CELL, LINE, GAP = 150, 66, 44, 20, 8
LIGHT, DARK = (239, 244, 249), (31, 111, 180)
PALE = "#a9c9e6"
BARS, BAR = 24, 18  # how many genes are shown, and how high each is
ROOM = 420  # for the longest bar


def picture(front: Sequence[Evaluated], budget: Budget) -> str:
    """Return the choices of a front as an SVG: a column each network, a line each place, darker where more is chosen.

    Where every block has a choice of its own, a line shows the mean over the blocks of a stage that are in use.
    """
    shown = thinned(front)
    lines = places(shown)
    width = LEFT + CELL * len(shown) + 24
    marks = [text(16, 24, "What the budget buys", "start", "#111", 16)]
    for column, one in enumerate(shown):
        x = LEFT + CELL * (column + 0.5)
        marks.append(text(x, TOP - 22, _short(budget.macs(one.cost)), "middle", "#333", 11))
        marks.append(text(x, TOP - 8, f"{one.score:.3g}", "middle", GREY, 11))
    marks.append(text(LEFT - 10, TOP - 22, "MACs", "end", "#333", 11))
    marks.append(text(LEFT - 10, TOP - 8, "score", "end", GREY, 11))
    y, before = float(TOP), ""
    for place, genes in lines.items():
        kind = kind_of(genes[0].path)
        y += GAP if before and kind != before else 0
        before = kind
        marks.append(text(LEFT - 10, y + 14, place, "end"))
        for column, one in enumerate(shown):
            marks += _cell(genes, one, LEFT + CELL * column, y)
        y += LINE
    return svg(marks, max(width, 320), y + 20)


def thinned(front: Sequence[Evaluated], most: int = MOST) -> list[Evaluated]:
    if len(front) <= most:
        return list(front)
    return [front[round(at * (len(front) - 1) / (most - 1))] for at in range(most)]


def places(front: Sequence[Evaluated]) -> dict[str, list[Gene]]:
    """Return the genes of each place, places of one kind together, in the order of the space."""
    genes = [gene for gene in front[0].arch.space.genes if len(gene.choices) > 1] if front else []
    kinds = list(dict.fromkeys(kind_of(gene.path) for gene in genes))
    found: dict[str, list[Gene]] = {}
    for gene in sorted(genes, key=lambda gene: kinds.index(kind_of(gene.path))):
        found.setdefault(place_of(gene.path), []).append(gene)
    return found


def chosen(genes: Sequence[Gene], one: Evaluated) -> tuple[str, float] | None:
    """Return what a network chooses in a place, in words and from 0 to 1; None where nothing there is in use."""
    used = [(gene, value) for gene in genes if (value := one.arch.values[gene.at]) is not None]
    if not used:
        return None
    share = fmean(gene.choices.index(value) / (len(gene.choices) - 1) for gene, value in used)
    values: list[Any] = [value for _, value in used]
    if len(set(values)) == 1:
        return str(values[0]), share
    if any(isinstance(value, str) for value in values):
        return "mixed", share
    return f"{fmean(values):.1f}", share


def bars(matters: Sequence[Matter], title: str, by: str) -> str:
    """Return a picture of how much each gene, or each kind, matters: what a model gains by it, and loses without."""
    shown = matters[:BARS]
    most = max([0.0, *(max(one.gained, one.lost) for one in shown)])
    least = min([0.0, *(min(one.gained, one.lost) for one in shown)])
    x = scale(100 * least, 100 * (most if most > least else least + 0.01), LEFT + 20, LEFT + 20 + ROOM)
    bottom = TOP + BAR * len(shown)
    more = f", the first {len(shown)} of {len(matters)}" if len(shown) < len(matters) else ""
    marks = [text(16, 24, f"{title}{more}", "start", "#111", 16)]
    words = f"% of the variance of {by}: light, what it explains beside the costs; dark, what nothing else does"
    marks.append(text(16, 44, words, "start", GREY))
    for value in x.ticks:
        marks.append(f'<path d="M{x.at(value)} {TOP - 4}V{bottom}" stroke="#e5e8eb"/>')
        marks.append(text(x.at(value), bottom + 16, f"{value:.6g}", "middle"))
    for line, one in enumerate(shown):
        y = TOP + BAR * line
        marks.append(text(LEFT + 8, y + 13, one.name, "end"))
        for value, colour, thin in ((one.gained, PALE, 0), (one.lost, BLUE, 3)):
            start, end = sorted((x.at(0), x.at(100 * value)))
            size = f'width="{max(end - start, 1):g}" height="{BAR - 6 - 2 * thin}"'
            marks.append(f'<rect x="{start}" y="{y + 3 + thin}" {size} fill="{colour}" class="gene"/>')
    return svg(marks, LEFT + ROOM + 60, bottom + 30)


def _cell(genes: Sequence[Gene], one: Evaluated, x: float, y: float) -> list[str]:
    found = chosen(genes, one)
    if found is None:
        return [text(x + CELL / 2, y + 14, "·", "middle", GREY)]
    words, share = found
    colour = tuple(round(a + (b - a) * share) for a, b in zip(LIGHT, DARK, strict=True))
    box = f'<rect x="{x:g}" y="{y:g}" width="{CELL - 2}" height="{LINE - 2}" fill="rgb{colour}" class="choice"/>'
    return [box, text(x + CELL / 2 - 1, y + 14, words, "middle", "white" if share > 0.55 else "#222", 11)]


def _short(macs: float) -> str:
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if macs >= factor:
            return f"{macs / factor:.3g}{prefix}"
    return f"{macs:g}"
