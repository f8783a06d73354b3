"""Several searches that share one number of evaluations, one journal and one engine, turn by turn.

Half of the evaluations is shared equally. After that two turns in three go to the family whose best AP within the
budget is the highest, and every third to the one with the fewest evaluations, so that a bad start is no end. A turn is
over when all its results are in, and who is next follows from the results so far: not from engines, workers or kills.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.executors.base import Done, Executor
from litepose_nas.runs.journal import Open, Record
from litepose_nas.search.loop import Look
from litepose_nas.search.problem import MUTE_AP, Evaluated, by_ap
from litepose_nas.search.workload import Workload
from litepose_nas.space import Space

OPENING = 0.5  # the share of the evaluations that all families get alike
TURNS = 24  # one in so many evaluations is a turn after that
AT_LEAST = 2
OTHERS = 3  # one turn in so many goes to the family that was looked at least

KIND = "families"  # of a journal

# Searches one family until so many of its results are known, and returns them in the order of proposal.
FamilySearch = Callable[[int], Sequence[Evaluated]]


class Turn(NamedTuple):
    """Whose turn it is, by place, and up to how many evaluations of that family."""

    family: int
    until: int


class Asked(NamedTuple):
    """What a worker that knows several families is asked."""

    family: str
    look: Look


def header(supernets: Mapping[str, tuple[Space, str]], workload: Workload, **more: Any) -> dict[str, Any]:
    """Return what the journal must agree on: each family's space and the hash of its supernet, and a picture."""
    families = [
        {"name": name, "space": space.name, "tree": json.loads(space.source), "supernet": sha256}
        for name, (space, sha256) in supernets.items()
    ]
    return {"kind": KIND, "families": families, **workload.plain(), **more}


class ExecutorView:
    """An engine that several families use, as one of them sees it."""

    def __init__(self, engine: Executor, family: str):
        self.workers, self._engine, self._family = engine.workers, engine, family

    @property
    def free(self) -> int:
        """How many more jobs it can start on now."""
        return self._engine.free

    def submit(self, job: Look) -> None:
        """Take a look in."""
        self._engine.submit(Asked(self._family, job))

    def wait(self) -> Done:
        """Return the next look that ends."""
        done = self._engine.wait()
        return done._replace(job=done.job.look)

    def close(self) -> None:
        """The engine is not its own."""


class JournalView:
    """A journal that several families use, as one of them sees it: records of others are empty lines."""

    def __init__(self, whole: Open, family: str):
        self._whole, self._family = whole, family

    @property
    def path(self) -> Path:
        """The file."""
        return self._whole.path

    @property
    def records(self) -> list[Record]:
        """Its own records, each at the place of its line."""
        return own(self._whole.records, self._family)

    def append(self, record: Mapping[str, Any]) -> Record:
        """Write one record of this family."""
        return self._whole.append({"family": self._family, **record})


def own(records: Sequence[Record], family: str) -> list[Record]:
    """Return the records of a family at their places, and empty ones at those of others."""
    return [record if record.get("family") == family else {} for record in records]


def take_turns(searches: Sequence[FamilySearch], evals: int) -> list[list[Evaluated]]:
    """Search families turn by turn until so many evaluations are known, and return those of each.

    A family of which everything has been evaluated has no more allocation.
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
            turn = next_turn(evals, done, [best_ap(some) for some in found], places, turns)
            turns += 1
        # A search that searches on may know later turns already: they must not decide about earlier ones.
        found[turn.family] = list(searches[turn.family](turn.until))[: turn.until]
        going[turn.family] = len(found[turn.family]) == turn.until
    return found


def opening(evals: int, families: int) -> int:
    """Return how many evaluations each family gets before anybody is ahead."""
    return max(1, int(OPENING * evals) // families)


def next_turn(evals: int, done: Sequence[int], aps: Sequence[float], places: Sequence[int], number: int) -> Turn:
    """Return the turn of that number after the opening, from how many evaluations and what best AP each family has."""
    count = min(max(AT_LEAST, evals // TURNS), evals - sum(done))
    leader = max(places, key=lambda at: aps[at])
    others = [at for at in places if at != leader] or [leader]
    fewest = min(places if aps[leader] < MUTE_AP else others, key=lambda at: done[at])
    family = fewest if aps[leader] < MUTE_AP or number % OTHERS == OTHERS - 1 else leader
    return Turn(family, done[family] + count)


def best_ap(found: Sequence[Evaluated]) -> float:
    return max(by_ap([one.result for one in found]), default=0.0)
