"""Random search within the budget: what every other search has to beat."""

from __future__ import annotations

import random

from litepose_nas.search.batched import BatchedSearcher
from litepose_nas.search.feasible import Feasible
from litepose_nas.search.problem import Evaluated, Problem
from litepose_nas.space import Arch


def searcher(problem: Problem, seed: int = 0, round: int = 40) -> BatchedSearcher:
    problem = problem.remembering()
    feasible = Feasible(problem)

    def propose(known: list[Evaluated], number: int) -> list[Arch]:
        rng = random.Random(f"{seed}/{number}")
        archs = [one.arch for one in known]
        return feasible.propose_new(round, lambda: feasible.draw(rng), set(archs), archs, rng)

    return BatchedSearcher(problem, propose)
