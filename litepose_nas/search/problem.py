"""What is searched, and what is known of an architecture once it has been evaluated."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from litepose_nas.budget import CONVENTIONS, Budget
from litepose_nas.costs import Columns, Cost
from litepose_nas.errors import UserError, nearest
from litepose_nas.search.ranking import Result, by_score
from litepose_nas.space import Arch, Space


class Problem(NamedTuple):
    """A space, the budget to keep, what an architecture costs, and how results become scores to maximise."""

    space: Space
    budget: Budget
    cost: Callable[[Arch], Cost]
    scores: Callable[[Sequence[Result]], list[float]] = by_score
    many: Columns | None = None  # prices many at once, for models that ask thousands of times
    objectives: tuple[str, ...] = ()  # what to keep low beside a high score, fields of Cost; none named: the MACs
    feasible: Arch | None = None  # one within the budget, where one is known
    broken: Callable[[Arch], int] | None = None  # how many rules of an op set it breaks; `many` says it too

    @property
    def low(self) -> tuple[str, ...]:
        """The fields of a Cost to keep low."""
        return self.objectives or (CONVENTIONS[self.budget.convention],)

    def objectives_of(self, cost: Cost) -> tuple[float, ...]:
        return tuple([getattr(cost, field) for field in self.low])

    def runs(self, arch: Arch) -> bool:
        """Whether the target can run an architecture."""
        return not (self.broken and self.broken(arch))

    def check(self) -> None:
        """Raise a UserError where the budget or the objectives name what the costs do not say."""
        known = self.cost(self.space.smallest)._fields
        for field in (*self.low, *(limit.field for limit in self.budget.limits)):
            if field == "latency_ms" and field not in known:
                raise UserError(
                    "latency_ms: the costs of this search say no time; price with costs.timed(price, latency)"
                )
            if field not in known:
                raise UserError(f"{field}: not a cost of a network; {nearest(field, known)}")

    def remembering(self) -> Problem:
        return self._replace(cost=functools.cache(self.cost), broken=self.broken and functools.cache(self.broken))


class Evaluated(NamedTuple):
    """An architecture, its cost, what its evaluation found, and its score among all results (-inf: it failed)."""

    arch: Arch
    cost: Cost
    result: Result
    score: float


class Searcher(Protocol):
    """What proposes architectures; its proposals depend on its seed and on what it was told, on nothing else."""

    def ask(self, n: int) -> list[Arch]:
        """Return up to n architectures to evaluate: none when it waits for results, or when nothing is left."""

    def tell(self, arch: Arch, result: Result) -> None:
        """Take in what the evaluation of an architecture found."""


def score(problem: Problem, results: Mapping[Arch, Result]) -> list[Evaluated]:
    scores = problem.scores(list(results.values()))
    pairs = zip(results.items(), scores, strict=True)
    return [Evaluated(arch, problem.cost(arch), result, value) for (arch, result), value in pairs]
