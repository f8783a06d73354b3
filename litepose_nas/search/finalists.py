"""The last step of a search: the best few are scored again, and what noise cannot tell apart goes to the cheaper.

The best of many noisy scores is best by luck too, so a finalist's first score, which made it one, does not count.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from litepose_nas.budget import Budget
from litepose_nas.executors.base import Executor, run_all
from litepose_nas.search.journal import AnyJournal, evaluations
from litepose_nas.search.loop import ScoringJob
from litepose_nas.search.measured import Times, eligible
from litepose_nas.search.problem import Evaluated, Problem
from litepose_nas.search.ranking import FAILED, Result
from litepose_nas.space import Arch

TIMES = 2  # how often each finalist is scored again


class Finalist(NamedTuple):
    """A finalist and its scores when it was scored again."""

    one: Evaluated
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of its new scores; its first where it has none."""
        return statistics.fmean(self.scores) if self.scores else self.one.score


class Selection(NamedTuple):
    """What the search chose, how it came out when scored again, and the standard deviation of one evaluation."""

    chosen: Evaluated
    finalists: list[Finalist]
    noise: float | None  # None: nothing was scored twice


def finalists(found: Iterable[Evaluated], budget: Budget, count: int) -> list[Evaluated]:
    within = [one for one in found if one.score != FAILED and budget.ok(one.cost)]
    return sorted(within, key=lambda one: (-one.score, one.cost))[:count]


def score_again(
    problem: Problem,
    best: Sequence[Evaluated],
    executor: Executor,
    journal: AnyJournal,
    times: int = TIMES,
    family: str = "",
) -> dict[Arch, list[Result]]:
    """Score each of the best `times` more times, but for what the journal has; return the new results."""
    known = _numbered(problem, journal)
    missing = [
        ScoringJob(0, one.arch.to_dict(), family, number)
        for one in best
        for number in range(1, times + 1)
        if number not in known.get(one.arch, {})
    ]
    for done in run_all(executor, missing):
        record = journal.append({"again": done.job.again, "arch": done.job.arch, "result": dict(done.result)})
        known.setdefault(problem.space.arch(done.job.arch), {})[done.job.again] = record["result"]
    return {one.arch: _in_order(known.get(one.arch, {}))[:times] for one in best}


def repeats(problem: Problem, journal: AnyJournal) -> dict[Arch, list[Result]]:
    """Return the results of a journal that are of architectures scored before."""
    return {arch: _in_order(results) for arch, results in _numbered(problem, journal).items()}


def _in_order(results: Mapping[int, Result]) -> list[Result]:
    return [results[number] for number in sorted(results)]


def _numbered(problem: Problem, journal: AnyJournal) -> dict[Arch, dict[int, Result]]:
    found: dict[Arch, dict[int, Result]] = {}
    for one in evaluations(problem.space, journal):
        if one.again:
            found.setdefault(one.arch, {})[one.again] = one.result
    return found


def select(
    problem: Problem,
    found: Sequence[Evaluated],
    again: Mapping[Arch, Sequence[Result]],
    budget: Budget | None = None,
    times: Times | None = None,
) -> Selection | None:
    """Return the choice within a budget: of the finalists within noise of the best, the cheapest; None if none is.

    Within noise is within one standard error of the difference of two means. Finalists that were measured to take too
    long are none.
    """
    budget = budget or problem.budget
    by_arch = new_scores(problem, found, again)
    best = finalists(found, budget, len(found))
    noise = spread([by_arch[one.arch] for one in best if by_arch.get(one.arch)])
    kept = eligible(best, budget, times or {})
    finals = [Finalist(one, tuple(by_arch[one.arch])) for one in kept if by_arch.get(one.arch)]
    finals = finals or [Finalist(one, ()) for one in kept[:1]]
    if not finals:
        return None
    top = max(finals, key=lambda final: final.mean)
    tied = [top, *(final for final in finals if top.mean - final.mean <= _margin(noise, final, top))]
    chosen = min(tied, key=lambda final: (problem.objectives_of(final.one.cost), -final.mean))
    return Selection(chosen.one, sorted(finals, key=lambda final: -final.mean), noise)


def new_scores(
    problem: Problem, found: Sequence[Evaluated], again: Mapping[Arch, Sequence[Result]]
) -> dict[Arch, list[float]]:
    """The scores of architectures that were scored again; whether AP or loss counts is decided by all results."""
    new = [(arch, result) for arch, results in again.items() for result in results]
    scores = problem.scores([*(one.result for one in found), *(result for _, result in new)])[len(found) :]
    by_arch: dict[Arch, list[float]] = {arch: [] for arch in again}
    for (arch, _), score in zip(new, scores, strict=True):
        by_arch[arch].append(score)
    return by_arch


def spread(groups: Iterable[Sequence[float]]) -> float | None:
    """Return the standard deviation of an evaluation, from the scores of architectures that were scored repeatedly."""
    several = [scores for scores in groups if len(scores) > 1 and FAILED not in scores]
    if not several:
        return None
    squares = sum(statistics.variance(scores) * (len(scores) - 1) for scores in several)
    return math.sqrt(squares / sum(len(scores) - 1 for scores in several))


def _margin(noise: float | None, one: Finalist, other: Finalist) -> float:
    if not noise:
        return 0.0
    return noise * math.sqrt(1 / max(len(one.scores), 1) + 1 / max(len(other.scores), 1))
