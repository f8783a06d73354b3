"""The Pareto front of what has been evaluated, and the best of it within a budget."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from litepose_nas import files
from litepose_nas.budget import Budget
from litepose_nas.costs import Cost
from litepose_nas.searching.problem import FAILED, Evaluated


def front(found: Iterable[Evaluated], budget: Budget | None = None) -> list[Evaluated]:
    """Return what nothing beats in both score and MACs, cheapest first; of equals, the first evaluated."""
    budget = budget or Budget()
    kept: list[Evaluated] = []
    within = (one for one in found if one.score != FAILED and budget.ok(one.cost))
    for one in sorted(within, key=lambda one: (budget.macs(one.cost), -one.score)):
        if not kept or one.score > kept[-1].score:
            kept.append(one)
    return kept


def best(found: Iterable[Evaluated], budget: Budget | None = None) -> Evaluated | None:
    """Return the best score within the budget, the cheapest of equal ones; None where nothing is."""
    kept = front(found, budget)
    return kept[-1] if kept else None


def write_csv(path: str | Path, found: Sequence[Evaluated]) -> None:
    """Write networks as a table: costs, score, whatever the evaluations found, and the architecture as JSON."""
    extra = list(dict.fromkeys(key for one in found for key in one.result if key != "score"))
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*Cost._fields, "score", *extra, "arch"])
        for one in found:
            values = [one.result.get(key, "") for key in extra]
            table.writerow([*one.cost, one.score, *values, json.dumps(one.arch.to_dict())])
