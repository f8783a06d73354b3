"""Comparing families: the best network of each within a budget, and the winner.

A bottom-up network runs once an image; a top-down one runs once a person, after a detector. Each family is ranked its
own way, by AP or by loss; families are compared by AP alone, for losses of different families do not compare.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from statistics import fmean
from typing import NamedTuple

from litepose_nas.budget import Budget
from litepose_nas.costs import Cost
from litepose_nas.errors import UserError
from litepose_nas.search.finalists import Selection, select, spread
from litepose_nas.search.problem import Evaluated, Problem
from litepose_nas.search.ranking import MUTE_AP, Result, by_ap
from litepose_nas.search.workload import Workload
from litepose_nas.space import Arch
from litepose_nas.task_kind import TaskKind

MOST = 20  # people in a picture, as far as is looked


class FamilyResults(NamedTuple):
    """What a search knows of a family: everything evaluated, ranked its own way, and what was scored again."""

    name: str
    problem: Problem
    found: Sequence[Evaluated]
    again: Mapping[Arch, Sequence[Result]]
    times: Mapping[Arch, Mapping[str, float]] = {}  # of networks that were measured; see measured.Times

    @property
    def task(self) -> TaskKind:
        return self.problem.space.task


class FamilyChoice(NamedTuple):
    """A family's best network by its own rank, and its AP."""

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
    """Families by AP, and the winner: the cheapest within one standard error of the best."""

    choices: list[FamilyChoice]
    winner: FamilyChoice
    tied: bool  # noise cannot tell the winner from another

    @property
    def mute(self) -> bool:
        """Whether no AP is high enough to say anything yet."""
        return self.choices[0].ap < MUTE_AP


def choice(family: FamilyResults, budget: Budget, workload: Workload) -> FamilyChoice | None:
    """A family's best network within the budget of an image; None where nothing fits."""
    own = workload.budget(budget, family.task)
    selection = select(family.problem, family.found, family.again, own, family.times)
    if selection is None:
        return None
    one = selection.chosen
    new = by_ap(family.again.get(one.arch, ()))
    noise = spread(by_ap(results) for results in family.again.values())
    ap = fmean(new) if new else by_ap([one.result])[0]
    return FamilyChoice(family.name, selection, ap, tuple(new), noise, workload.cost(one.cost, family.task))


def compare(families: Sequence[FamilyResults], budget: Budget, workload: Workload) -> Comparison | None:
    """The comparison within the budget of an image; None where nothing of any family fits."""
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
    """The comparison for one person an image, for two, and so on, among what has been evaluated.

    Costs follow the number of people; APs stay those of the held-out images.
    """
    found = []
    for people in range(1, most + 1):
        here = workload._replace(people=Fraction(people))
        # Beyond some number nothing is left of the budget for a person, and families that need none are alone.
        able = [family for family in families if _leaves_room(here, budget, family.task)]
        found.append((people, compare(able, budget, here) if able else None))
    return found


def crossover_points(found: Sequence[tuple[int, Comparison | None]]) -> str:
    """Which family wins for which number of people an image, in words."""
    winners = [comparison.winner.family if comparison else "" for _, comparison in found]
    said, last, first = [], len(found), 1
    for name, group in itertools.groupby(winners):
        end = first + len(list(group)) - 1
        wins = f"{name} wins" if name else "nothing that was evaluated fits"
        if (first, end) == (1, last):
            return f"whether 1 or {last} people are in a picture, {wins}"
        where = f"from {first} on" if end == last else f"up to {end}" if first == 1 else f"from {first} to {end}"
        said.append(f"{where}{' people a picture' * (first == 1)} {wins}")
        first = end + 1
    return ", ".join(said)


def together(families: Sequence[FamilyResults], workload: Workload) -> list[Evaluated]:
    """The networks of all families, family by family, scored by AP, with the costs of an image."""
    return [
        Evaluated(one.arch, workload.cost(one.cost, family.task), one.result, by_ap([one.result])[0])
        for family in families
        for one in family.found
    ]


def _leaves_room(workload: Workload, budget: Budget, task: TaskKind) -> bool:
    try:
        workload.budget(budget, task)
    except UserError:
        return False
    return True


def _margin(one: FamilyChoice, other: FamilyChoice) -> float:
    return math.hypot(*((each.noise or 0.0) / math.sqrt(max(len(each.aps), 1)) for each in (one, other)))
