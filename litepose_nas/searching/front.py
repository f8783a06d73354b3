"""The Pareto front of what has been evaluated, and the best of it within a budget."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from litepose_nas import files
from litepose_nas.budget import CONVENTIONS, Budget
from litepose_nas.costs import Cost
from litepose_nas.searching.problem import FAILED, Evaluated


def front(found: Iterable[Evaluated], budget: Budget | None = None, objectives: Sequence[str] = ()) -> list[Evaluated]:
    """Return what nothing beats in score and in every objective, cheapest first; of equals, the first evaluated.

    The objectives are fields of a Cost to keep low; none named: the MACs in the budget's convention.
    """
    budget = budget or Budget()
    fields = objectives or (CONVENTIONS[budget.convention],)

    def lows(one: Evaluated) -> tuple[float, ...]:
        return tuple([getattr(one.cost, field) for field in fields])

    kept: list[Evaluated] = []
    within = (one for one in found if one.score != FAILED and budget.ok(one.cost))
    for one in sorted(within, key=lambda one: (lows(one), -one.score)):
        # All before cost no more in the first objective, so only they can beat it.
        cheaper = kept[-1:] if len(fields) == 1 else kept
        if not any(_no_worse(other, one, lows) for other in cheaper):
            kept.append(one)
    return kept


def best(found: Iterable[Evaluated], budget: Budget | None = None) -> Evaluated | None:
    """Return the best score within the budget, the cheapest of equal ones; None where nothing is."""
    kept = front(found, budget)
    return kept[-1] if kept else None


def _no_worse(one: Evaluated, other: Evaluated, lows: Callable[[Evaluated], tuple[float, ...]]) -> bool:
    return one.score >= other.score and all(a <= b for a, b in zip(lows(one), lows(other), strict=True))


def write_csv(path: str | Path, found: Sequence[Evaluated], more: Mapping[str, Sequence[object]] | None = None) -> None:
    """Write networks as a table: costs, score, each number that the evaluations found, and the architecture as JSON.

    What `more` says of each stands before all that.
    """
    more = more or {}
    keys = (key for one in found for key, value in one.result.items() if not isinstance(value, Mapping))
    extra = [key for key in dict.fromkeys(keys) if key != "score"]
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        fields = found[0].cost._fields if found else Cost._fields
        table.writerow([*more, *fields, "score", *extra, "arch"])
        for number, one in enumerate(found):
            values = [one.result.get(key, "") for key in extra]
            first = [column[number] for column in more.values()]
            table.writerow([*first, *one.cost, one.score, *values, json.dumps(one.arch.to_dict())])
