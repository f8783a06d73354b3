"""Searching in rounds: each round is a pure function of the results before it, so a replay of them continues alike."""

from __future__ import annotations

from collections.abc import Callable

from litepose_nas.search.problem import Evaluated, Problem, score
from litepose_nas.search.ranking import Result
from litepose_nas.space import Arch

Propose = Callable[[list[Evaluated], int], list[Arch]]


class BatchedSearcher:
    """A searcher that hands out one round at a time, and makes the next when every result of it is in.

    In which order the results of a round arrive, and how many are asked for at once, does not change the next round.
    What was never proposed may be told too; it counts from the next round on.
    """

    def __init__(self, problem: Problem, propose: Propose):
        """Take a function from what is known, and the number of the round, to the round's architectures."""
        self._problem, self._propose = problem, propose
        self._results: dict[Arch, Result] = {}
        self._known: list[Arch] = []  # of the rounds before, in the order of proposal
        self._foreign: list[Arch] = []
        self._round: list[Arch] = []
        self._number = 0
        self._asked: set[Arch] = set()

    def ask(self, n: int) -> list[Arch]:
        """Return up to n architectures never handed out before; none while a round waits for its last results."""
        self._advance()
        ready = [arch for arch in self._round if arch not in self._results and arch not in self._asked][:n]
        self._asked.update(ready)
        return ready

    def tell(self, arch: Arch, result: Result) -> None:
        self._advance()
        if arch not in self._results and arch not in self._round:
            self._foreign.append(arch)
        self._results[arch] = result

    @property
    def known(self) -> list[Evaluated]:
        """What the rounds before this one have found."""
        return score(self._problem, {arch: self._results[arch] for arch in self._known})

    def _advance(self) -> None:
        if all(arch in self._results for arch in self._round):
            self._known += self._round + self._foreign
            self._foreign = []
            self._round = self._propose(self.known, self._number)
            self._number += bool(self._round)
