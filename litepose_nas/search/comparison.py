"""Where families of networks meet: what a picture costs each of them, and whose network is best within a budget.

A network that sees whole pictures runs once a picture; one that sees one person at a time runs once a person, after
somebody found the boxes. Each family is ranked by what ranks it best, AP or loss; between families AP alone counts, for
a loss of one says nothing beside a loss of another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from statistics import fmean
from typing import NamedTuple

from litepose_nas.budget import Budget
from litepose_nas.costs import Cost
from litepose_nas.errors import UserError
from litepose_nas.search.finalists import Selection, select, spread
from litepose_nas.search.problem import MUTE_AP, Evaluated, Problem, Result, by_ap
from litepose_nas.search.workload import Workload
from litepose_nas.space import Arch
from litepose_nas.task_kind import TaskKind

MOST = 20  # people in a picture, as far as is looked


class FamilyResults(NamedTuple):
    """A family as it comes to the comparison: what was evaluated, ranked its own way, and what was scored again."""

    name: str
    problem: Problem
    found: Sequence[Evaluated]
    again: Mapping[Arch, Sequence[Result]]

    @property
    def task(self) -> TaskKind:
        return self.problem.space.task


class FamilyChoice(NamedTuple):
    """The network that a family sends: its best by its own rank, and how that does in AP."""

    family: str
    selection: Selection  # in scores of its own rank
    ap: float  # the mean of its new scores; its first where it was not scored again
    aps: tuple[float, ...]  # its new scores
    noise: float | None  # the standard deviation of one AP in this family; None: nothing was scored twice
    cost: Cost  # of a picture

    @property
    def one(self) -> Evaluated:
        return self.selection.chosen


class Comparison(NamedTuple):
    """Who came, best AP first, and who won: of those that noise cannot tell from the best AP, the cheapest."""

    choices: list[FamilyChoice]
    winner: FamilyChoice
    tied: bool  # noise cannot tell the winner from another

    @property
    def mute(self) -> bool:
        """Whether no AP is high enough to say anything yet."""
        return self.choices[0].ap < MUTE_AP


def choice(family: FamilyResults, budget: Budget, workload: Workload) -> FamilyChoice | None:
    """Return what a family sends within the budget of a picture; None where nothing of it fits."""
    selection = select(family.problem, family.found, family.again, workload.budget(budget, family.task))
    if selection is None:
        return None
    one = selection.chosen
    new = by_ap(family.again.get(one.arch, ()))
    noise = spread(by_ap(results) for results in family.again.values())
    ap = fmean(new) if new else by_ap([one.result])[0]
    return FamilyChoice(family.name, selection, ap, tuple(new), noise, workload.cost(one.cost, family.task))


def compare(families: Sequence[FamilyResults], budget: Budget, workload: Workload) -> Comparison | None:
    """Return how families compare within the budget of a picture; None where nothing of any fits."""
    low = families[0].problem._replace(budget=budget).low
    came = [found for family in families if (found := choice(family, budget, workload))]
    choices = sorted(came, key=lambda one: -one.ap)
    if not choices:
        return None
    top = choices[0]
    tied = [one for one in choices if top.ap - one.ap <= _margin(top, one)]
    winner = min(tied, key=lambda one: ([getattr(one.cost, field) for field in low], -one.ap))
    return Comparison(choices, winner, len(tied) > 1)


def by_people(
    families: Sequence[FamilyResults], budget: Budget, workload: Workload, most: int = MOST
) -> list[tuple[int, Comparison | None]]:
    """Return who would win in pictures of one person, of two, and so on, among what has been evaluated.

    Costs and what fits the budget follow the number; APs stay those of the pictures that were looked at.
    """
    found = []
    for people in range(1, most + 1):
        here = workload._replace(people=Fraction(people))
        # Beyond some number nothing is left of the budget for a person, and families that need none are alone.
        able = [family for family in families if _leaves_room(here, budget, family.task)]
        found.append((people, compare(able, budget, here) if able else None))
    return found


def stretches(found: Sequence[tuple[int, Comparison | None]]) -> Iterator[tuple[int, int, str | None]]:
    """Yield (first, last, winner) for each range of numbers of people in which the same family wins; None: nobody."""
    named = [(people, comparison.winner.family if comparison else None) for people, comparison in found]
    for name, group in itertools.groupby(named, key=lambda pair: pair[1]):
        numbers = [people for people, _ in group]
        yield numbers[0], numbers[-1], name


def crossover_points(found: Sequence[tuple[int, Comparison | None]]) -> str:
    """Return in words for which number of people a picture which family wins."""
    parts = list(stretches(found))
    last = found[-1][0]
    if len(parts) == 1:
        return f"whether 1 or {last} people are in a picture, {_wins(parts[0][2])}"
    said = []
    for first, end, name in parts:
        where = f"from {first} on" if end == last else f"up to {end}" if first == 1 else f"from {first} to {end}"
        said.append(f"{where}{' people a picture' * (first == 1)} {_wins(name)}")
    return ", ".join(said)


def together(families: Sequence[FamilyResults], workload: Workload) -> list[Evaluated]:
    """Return the networks of all families, family by family, with AP for a score and what a picture costs."""
    return [
        Evaluated(one.arch, workload.cost(one.cost, family.task), one.result, by_ap([one.result])[0])
        for family in families
        for one in family.found
    ]


def _wins(name: str | None) -> str:
    return f"{name} wins" if name else "nothing that was evaluated fits"


def _leaves_room(workload: Workload, budget: Budget, task: TaskKind) -> bool:
    try:
        workload.budget(budget, task)
    except UserError:
        return False
    return True


def _margin(one: FamilyChoice, other: FamilyChoice) -> float:
    return math.hypot(*((each.noise or 0.0) / math.sqrt(max(len(each.aps), 1)) for each in (one, other)))
