"""What searching gains over what needs no search, from the rows of gain.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import rows
from contest import PUBLISHED, RANDOM, SCALED, SEARCHED

DRAWS = 10_000
FIGURES = {"faces68": ("nme", "pck"), "drawn people": ("pck", "ap"), "lspet": ("pck", "ap")}
LESS_IS_BETTER = ("nme", "loss")
Rows = list[dict[str, str]]
Place = tuple[str, str, str]  # the family, the seed and the budget of a contest
KINDS = (SEARCHED, SCALED, PUBLISHED)


class Gain(NamedTuple):
    """Differences of pairs at the same seed, budget and family; greater is better whatever the figure."""

    ahead: int
    pairs: int
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f}), ahead in {self.ahead} of {self.pairs}"


def table(paths: Sequence[Path]) -> str:
    """Return the lines of two tables: what each kind comes to, and who is ahead of whom by how much."""
    found = [row for path in paths for row in rows.read(path)]
    kinds, gains = [_line("pictures", "family", "test figure", *KINDS)], []
    kinds.append("|" + "---|" * (3 + len(KINDS)))
    gains = [_line("pictures", "family", "test figure", *(name for name, _, _ in COMPARED))]
    gains.append("|" + "---|" * (3 + len(COMPARED)))
    for pictures, figures in FIGURES.items():
        here = [row for row in found if row["pictures"] == pictures]
        families = sorted({row["family"] for row in here})
        for family in [*families, *(["all"] if len(families) > 1 else [])]:
            own = [row for row in here if family in (row["family"], "all")]
            for figure in figures:
                kinds.append(_line(pictures, family, figure, *(_mean(own, kind, figure) for kind in KINDS)))
                cells = [gain(own, figure, ours, theirs) for _, ours, theirs in COMPARED]
                gains.append(_line(pictures, family, figure, *cells))
    return "\n".join([*kinds, "", *gains])


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _mean(found: Rows, kind: str, figure: str) -> str:
    """Return the mean over the contests in which all kinds of KINDS took part."""
    places = [[_of(_at(found, place), each, figure) for each in KINDS] for place in _places(found)]
    own = [values[KINDS.index(kind)] for values in places if None not in values]
    return f"{abs(fmean(value for value in own if value is not None)):.4f}" if own else "–"


def gain(found: Rows, figure: str, ours: str, theirs: str) -> Gain | str:
    """Return how far one kind is ahead of another on the test pictures, over all pairs that are complete."""
    differences = np.array(list(_differences(found, figure, ours, theirs)))
    if not len(differences):
        return "–"
    draws = np.random.default_rng(0).choice(differences, (DRAWS, len(differences))).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return Gain(int((differences > 0).sum()), len(differences), differences.mean(), float(low), float(high))


def _differences(found: Rows, figure: str, ours: str, theirs: str) -> Iterator[float]:
    for place in _places(found):
        one, other = (_of(_at(found, place), kind, figure) for kind in (ours, theirs))
        if one is not None and other is not None:
            yield one - other


def _places(found: Rows) -> list[Place]:
    return sorted({(row["family"], row["seed"], row["budget"]) for row in found})


def _at(found: Rows, place: Place) -> Rows:
    return [row for row in found if (row["family"], row["seed"], row["budget"]) == place]


def _of(found: Rows, kind: str, figure: str) -> float | None:
    """Return the test figure of a kind: of its first network, or of the one that is best on held-out pictures."""
    name, _, best = kind.partition(", best of ")
    own = [row for row in found if row["kind"] == name]
    if len(own) < int(best or 1):
        return None
    first = own[0] if not best else max(own[: int(best)], key=lambda row: _turned(figure, row[f"held {figure}"]))
    return _turned(figure, first[f"test {figure}"])


def _turned(figure: str, value: str) -> float:
    return -float(value) if figure in LESS_IS_BETTER else float(value)


BEST = f"{SEARCHED}, best of 3"
COMPARED = [
    ("searched over scaled", SEARCHED, SCALED),
    ("searched over published", SEARCHED, PUBLISHED),
    ("best of 3 over scaled", BEST, SCALED),
    ("best of 3 over published", BEST, PUBLISHED),
    ("best of 3 over best of 5 random", BEST, f"{RANDOM}, best of 5"),
]
