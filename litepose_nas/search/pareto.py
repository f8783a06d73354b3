"""Pareto fronts: a score to keep high, MACs or other costs to keep low, no excess over the budget."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from litepose_nas.budget import CONVENTIONS, Budget
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.ranking import FAILED


class Point(NamedTuple):
    """A network as selection sees it."""

    score: float
    macs: float  # or whatever else is kept low
    excess: float = 0.0


def sort(points: Sequence[Point]) -> list[list[int]]:
    """Return fronts of indices: nothing dominates the first, only the first dominates the second, and so on."""
    fronts: list[list[int]] = []
    best: list[float] = []  # minus the best score of each front so far, ascending
    within = [i for i, point in enumerate(points) if not point.excess]
    at, before = 0, None
    for i in sorted(within, key=lambda i: (points[i].macs, -points[i].score)):
        here = points[i][:2]
        # All before have fewer or equal MACs, so the first front without an equal or better score is this point's.
        if here != before:
            at = bisect_right(best, -points[i].score)
        before = here
        if at == len(fronts):
            fronts.append([])
            best.append(0.0)
        fronts[at].append(i)
        best[at] = -points[i].score
    beyond = [i for i, point in enumerate(points) if point.excess]
    last = None
    for i in sorted(beyond, key=lambda i: points[i].excess):
        if points[i].excess != last:
            fronts.append([])
        last = points[i].excess
        fronts[-1].append(i)
    return fronts


def crowding(points: Sequence[Point]) -> list[float]:
    """Return for each point of one front how far its neighbours are from each other; the ends are infinitely far."""
    distances = [0.0] * len(points)
    for axis in (0, 1):
        order = sorted(range(len(points)), key=lambda i: (points[i][axis], points[i][1 - axis], i))
        span = points[order[-1]][axis] - points[order[0]][axis] if order else 0
        for before, here, after in zip([None, *order], order, [*order[1:], None], strict=False):
            if before is None or after is None:
                distances[here] = math.inf
            elif span:
                distances[here] += (points[after][axis] - points[before][axis]) / span
    return distances


def layers(points: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Return the number of the front of each line of what to keep low, from 0 up; what is beyond the budget is last."""
    ranks = np.full(len(points), -1)
    within = np.flatnonzero(excess <= 0)
    kept = points[within]
    below = np.ones((len(kept), len(kept)), dtype=bool)
    strictly = np.zeros_like(below)
    for column in kept.T:
        below &= column[:, None] <= column
        strictly |= column[:, None] < column
    beats = below & strictly
    beaten = beats.sum(axis=0)
    rank, left = 0, np.ones(len(kept), dtype=bool)
    while left.any():
        front = left & (beaten == 0)
        ranks[within[front]] = rank
        beaten = beaten - beats[front].sum(axis=0)
        left &= ~front
        rank += 1
    beyond = np.flatnonzero(excess > 0)
    ranks[beyond] = rank + np.unique(excess[beyond], return_inverse=True)[1].reshape(-1)
    return ranks


def ranked(points: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Return the places of lines of what to keep low, best first: front by front, in each the loneliest first."""
    ranks, lonely = layers(points, excess), np.zeros(len(points))
    for rank in range(int(ranks.max(initial=-1)) + 1):
        front = np.flatnonzero(ranks == rank)
        for column in points[front].T:
            order = np.argsort(column, kind="stable")
            span = column[order[-1]] - column[order[0]]
            gap = np.full(len(front), np.inf)
            if span > 0 and len(front) > 2:
                gap[order[1:-1]] = (column[order[2:]] - column[order[:-2]]) / span
            lonely[front] += gap
    return np.lexsort((-lonely, ranks))


def front(found: Iterable[Evaluated], budget: Budget | None = None, objectives: Sequence[str] = ()) -> list[Evaluated]:
    """Return what nothing beats in score and in every objective, cheapest first; of equals, the first evaluated.

    The objectives are fields of a Cost to keep low; none named: the MACs in the budget's convention.
    """
    budget = budget or Budget()
    fields = objectives or (CONVENTIONS[budget.convention],)

    def low(one: Evaluated) -> tuple[float, ...]:
        return tuple([getattr(one.cost, field) for field in fields])

    kept: list[Evaluated] = []
    within = (one for one in found if one.score != FAILED and budget.ok(one.cost))
    for one in sorted(within, key=lambda one: (low(one), -one.score)):
        # All before cost no more in the first objective, so only they can beat it.
        cheaper = kept[-1:] if len(fields) == 1 else kept
        if not any(_no_worse(other, one, low) for other in cheaper):
            kept.append(one)
    return kept


def best(found: Iterable[Evaluated], budget: Budget | None = None) -> Evaluated | None:
    kept = front(found, budget)
    return kept[-1] if kept else None


def _no_worse(one: Evaluated, other: Evaluated, low: Callable[[Evaluated], tuple[float, ...]]) -> bool:
    return one.score >= other.score and all(a <= b for a, b in zip(low(one), low(other), strict=True))
