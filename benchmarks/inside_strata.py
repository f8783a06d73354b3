"""A table of how well scores rank networks inside strata of equal cost, with intervals, beside the ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from truth_in_strata import COSTS, Known

from litepose_nas.search.rank_correlation import Interval, audit, between

DRAWS = 2000


def ceiling(nets: Sequence[Known], figure: str) -> Interval:
    """Return tau inside strata between trainings alone that differ in their seed."""
    seeds = list(zip(*(net.scores[figure] for net in nets), strict=True))
    return between(seeds, [net.stratum for net in nets], DRAWS).tau_inside


def taus(nets: Sequence[Known], figure: str, scores: Mapping[str, Sequence[float]]) -> dict[str, Interval]:
    """Return tau inside strata of each score, and of each cost, with the mean over the seeds of a training alone."""
    truth = [fmean(net.scores[figure]) for net in nets]
    every = {**scores, **{cost: [net.costs[cost] for net in nets] for cost in COSTS}}
    found = audit(every, truth, [net.stratum for net in nets], draws=DRAWS).agreements
    return {name: one.tau_inside for name, one in found.items()}


def table(nets: Sequence[Known], figures: Sequence[str], scores: Mapping[str, Sequence[float]]) -> str:
    """Return the lines of a table: a row for each score, a column for each figure that may be the truth."""
    lines = ["| tau inside strata | " + " | ".join(f"against {figure}" for figure in figures) + " |"]
    lines.append("|---|" + "---|" * len(figures))
    columns = [{"another seed": ceiling(nets, figure), **taus(nets, figure, scores)} for figure in figures]
    lines += [f"| {name} | " + " | ".join(str(column[name]) for column in columns) + " |" for name in columns[0]]
    return "\n".join(lines)
