"""How families share the evaluations of a search, turn by turn; a family alone gets them all in one turn.

Half of the evaluations is shared equally. After that two turns in three go to the family whose best AP within the
budget is the highest, and every third to the one with the fewest evaluations, so that a bad start can be made good. A
turn ends when all its results are in. The next one follows from the results so far, not from workers or kills.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from litepose_nas.search.problem import Evaluated
from litepose_nas.search.ranking import MUTE_AP, by_ap

OPENING = 0.5  # the share of the evaluations that is divided equally
TURNS = 24  # a later turn is 1/24 of the evaluations
AT_LEAST = 2
OTHERS = 3  # every third turn goes to the family with the fewest evaluations

# Searches one family until it has this many results, and returns them in the order of proposal.
FamilySearch = Callable[[int], Sequence[Evaluated]]


class Turn(NamedTuple):
    """Whose turn it is, by place, and up to how many evaluations of that family."""

    family: int
    until: int


def take_turns(searches: Sequence[FamilySearch], evals: int) -> list[list[Evaluated]]:
    """Search families turn by turn until `evals` results are known, and return those of each.

    An exhausted family has no more turns.
    """
    found: list[list[Evaluated]] = [[] for _ in searches]
    going = [True] * len(searches)
    turns = 0
    while any(going) and sum(map(len, found)) < evals:
        done, opened = [len(some) for some in found], opening(evals, len(searches))
        places = [at for at, on in enumerate(going) if on]
        behind = [at for at in places if done[at] < opened]
        if behind:
            turn = Turn(behind[0], opened)
        else:
            turn = next_turn(
                evals, done, [max(by_ap([one.result for one in some]), default=0.0) for some in found], places, turns
            )
            turns += 1
        # A resumed search may know later turns already: they must not decide about earlier ones.
        found[turn.family] = list(searches[turn.family](turn.until))[: turn.until]
        going[turn.family] = len(found[turn.family]) == turn.until
    return found


def opening(evals: int, families: int) -> int:
    """How many evaluations each family gets before the best one is favoured; a family alone gets all."""
    return max(1, int(OPENING * evals) // families) if families > 1 else evals


def next_turn(evals: int, done: Sequence[int], aps: Sequence[float], places: Sequence[int], number: int) -> Turn:
    """Return the turn of that number after the opening, from how many evaluations and what best AP each family has."""
    count = min(max(AT_LEAST, evals // TURNS), evals - sum(done))
    leader = max(places, key=lambda at: aps[at])
    others = [at for at in places if at != leader] or [leader]
    fewest = min(places if aps[leader] < MUTE_AP else others, key=lambda at: done[at])
    family = fewest if aps[leader] < MUTE_AP or number % OTHERS == OTHERS - 1 else leader
    return Turn(family, done[family] + count)
