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
from typing import Any, NamedTuple, TypeVar

from litepose_nas.budget import Budget, Limit, in_words
from litepose_nas.costs import Cost
from litepose_nas.errors import UserError
from litepose_nas.searching.finalists import Settled, settle, spread
from litepose_nas.searching.problem import MUTE_AP, Evaluated, Problem, Result, by_ap
from litepose_nas.space import Arch

TOPDOWN = "topdown"
RUNS = ("macs", "macs_litepose", "latency_ms")  # of a Cost: what every run of a network takes once more
MOST = 20  # people in a picture, as far as is looked

AnyCost = TypeVar("AnyCost", bound=Cost)


class Picture(NamedTuple):
    """What is to be done in an average picture: people to look at, and boxes to find where a network needs them."""

    people: Fraction
    detector_macs: int = 0

    def cost(self, cost: AnyCost, task: str) -> AnyCost:
        """Return the cost of a picture from that of one run of a network, MACs rounded up; memory is that of a run."""
        if task != TOPDOWN:
            return cost
        more = {field: math.ceil(self.people * getattr(cost, field)) + self.detector_macs for field in RUNS[:2]}
        if hasattr(cost, RUNS[2]):
            more[RUNS[2]] = float(self.people) * getattr(cost, RUNS[2])
        return cost._replace(**more)

    def budget(self, budget: Budget, task: str) -> Budget:
        """Return the budget of one run that a network keeps just where a picture keeps this one."""
        if task != TOPDOWN:
            return budget
        return budget._replace(limits=tuple(self._of_a_run(limit) for limit in budget.limits))

    def _of_a_run(self, limit: Limit) -> Limit:
        if limit.field not in RUNS:
            return limit
        if limit.field == RUNS[2]:
            most = limit.most / float(self.people)
            return limit._replace(most=most, text=f"{most}ms")
        whole = math.floor((Fraction(limit.most) - self.detector_macs) / self.people)
        if whole < 1:
            boxes = f", of which finding boxes takes {in_words('macs', self.detector_macs)}" * bool(self.detector_macs)
            raise UserError(
                f"budget {limit.text}: nothing is left of it for each of {self.number} people{boxes}; allow more"
            )
        return Limit(limit.field, whole, f"{whole}MAC")

    @property
    def number(self) -> str:
        """The people in a picture, in words."""
        return f"{float(self.people):.3g}"

    def plain(self) -> dict[str, Any]:
        """Return what JSON can hold; `picture_of` reads it."""
        return {"people": str(self.people), "detector_macs": self.detector_macs}


def picture_of(kept: Mapping[str, Any]) -> Picture:
    """Return the picture that a journal or a run's settings tell of; a person a picture where they tell of none."""
    people, macs = Fraction(kept.get("people", 1)), kept.get("detector_macs", 0)
    if not people > 0 or type(macs) is not int or macs < 0:
        raise ValueError(f"people is {people}, detector_macs is {macs!r}")
    return Picture(people, macs)


class Family(NamedTuple):
    """A family as it comes to the meeting: what was evaluated, ranked its own way, and what was scored again."""

    name: str
    problem: Problem
    found: Sequence[Evaluated]
    again: Mapping[Arch, Sequence[Result]]

    @property
    def task(self) -> str:
        """Whether its networks see whole pictures or one person at a time."""
        return self.problem.space.task


class Choice(NamedTuple):
    """The network that a family sends: its best by its own rank, and how that does in AP."""

    family: str
    settled: Settled  # in scores of its own rank
    ap: float  # the mean of its new scores; its first where it was not scored again
    aps: tuple[float, ...]  # its new scores
    noise: float | None  # the standard deviation of one AP in this family; None: nothing was scored twice
    cost: Cost  # of a picture

    @property
    def one(self) -> Evaluated:
        """The network."""
        return self.settled.chosen


class Meeting(NamedTuple):
    """Who came, best AP first, and who won: of those that noise cannot tell from the best AP, the cheapest."""

    choices: list[Choice]
    winner: Choice
    tied: bool  # noise cannot tell the winner from another

    @property
    def mute(self) -> bool:
        """Whether no AP is high enough to say anything yet."""
        return self.choices[0].ap < MUTE_AP


def choice(family: Family, budget: Budget, picture: Picture) -> Choice | None:
    """Return what a family sends within the budget of a picture; None where nothing of it fits."""
    settled = settle(family.problem, family.found, family.again, picture.budget(budget, family.task))
    if settled is None:
        return None
    one = settled.chosen
    new = by_ap(family.again.get(one.arch, ()))
    noise = spread(by_ap(results) for results in family.again.values())
    ap = fmean(new) if new else by_ap([one.result])[0]
    return Choice(family.name, settled, ap, tuple(new), noise, picture.cost(one.cost, family.task))


def meet(families: Sequence[Family], budget: Budget, picture: Picture) -> Meeting | None:
    """Return how families compare within the budget of a picture; None where nothing of any fits."""
    low = families[0].problem._replace(budget=budget).low
    came = [found for family in families if (found := choice(family, budget, picture))]
    choices = sorted(came, key=lambda one: -one.ap)
    if not choices:
        return None
    top = choices[0]
    tied = [one for one in choices if top.ap - one.ap <= _margin(top, one)]
    winner = min(tied, key=lambda one: ([getattr(one.cost, field) for field in low], -one.ap))
    return Meeting(choices, winner, len(tied) > 1)


def by_people(
    families: Sequence[Family], budget: Budget, picture: Picture, most: int = MOST
) -> list[tuple[int, Meeting | None]]:
    """Return who would win in pictures of one person, of two, and so on, among what has been evaluated.

    Costs and what fits the budget follow the number; APs stay those of the pictures that were looked at.
    """
    found = []
    for people in range(1, most + 1):
        here = picture._replace(people=Fraction(people))
        # Beyond some number nothing is left of the budget for a person, and families that need none are alone.
        able = [family for family in families if _leaves_room(here, budget, family.task)]
        found.append((people, meet(able, budget, here) if able else None))
    return found


def stretches(found: Sequence[tuple[int, Meeting | None]]) -> Iterator[tuple[int, int, str | None]]:
    """Yield (first, last, winner) for each range of numbers of people in which the same family wins; None: nobody."""
    named = [(people, meeting.winner.family if meeting else None) for people, meeting in found]
    for name, group in itertools.groupby(named, key=lambda pair: pair[1]):
        numbers = [people for people, _ in group]
        yield numbers[0], numbers[-1], name


def flips(found: Sequence[tuple[int, Meeting | None]]) -> str:
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


def together(families: Sequence[Family], picture: Picture) -> list[Evaluated]:
    """Return the networks of all families, family by family, with AP for a score and what a picture costs."""
    return [
        Evaluated(one.arch, picture.cost(one.cost, family.task), one.result, by_ap([one.result])[0])
        for family in families
        for one in family.found
    ]


def _wins(name: str | None) -> str:
    return f"{name} wins" if name else "nothing that was evaluated fits"


def _leaves_room(picture: Picture, budget: Budget, task: str) -> bool:
    try:
        picture.budget(budget, task)
    except UserError:
        return False
    return True


def _margin(one: Choice, other: Choice) -> float:
    """Return one standard error of the difference of two APs."""
    return math.hypot(*((each.noise or 0.0) / math.sqrt(max(len(each.aps), 1)) for each in (one, other)))
