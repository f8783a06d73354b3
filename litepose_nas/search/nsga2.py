"""NSGA-II with constraint domination (Deb et al., 2002): the baseline of the searches, and their inner loop."""

from __future__ import annotations

import random

import numpy as np

from litepose_nas.search import pareto
from litepose_nas.search.batched import BatchedSearcher
from litepose_nas.search.feasible import Feasible
from litepose_nas.search.pareto import Point
from litepose_nas.search.problem import Evaluated, Problem
from litepose_nas.search.ranking import FAILED
from litepose_nas.space import Arch

CROSSED = 0.9  # the share of children with two parents


def searcher(
    problem: Problem,
    seed: int = 0,
    population: int = 20,
    children: int = 10,
    rate: float = 0.05,
    filled: float = 0.2,
) -> BatchedSearcher:
    """Return an NSGA-II that starts with a random population and then breeds some children a round.

    The budget is hard: what exceeds it is repaired and never proposed. Parents are taken from everything known. Beyond
    the textbook, a share of all proposals is grown to the edge of the budget, for that is where the network to be
    chosen lies; `filled=0` leaves that out.
    """
    problem = problem.remembering()
    feasible = Feasible(problem)

    def propose(known: list[Evaluated], number: int) -> list[Arch]:
        rng = random.Random(f"{seed}/{number}")
        seen = {one.arch for one in known}
        ranked = rank(problem, known)
        parents = ranked[:population]
        if number == 0 or not parents:
            both = dict.fromkeys((problem.space.smallest, problem.space.widest))
            ends = [end for end in both if feasible.ok(end) and end not in seen]
            taken = seen | set(ends)
            rest = max(population - len(ends), 0)

            def start() -> Arch:
                arch = feasible.draw(rng)
                return feasible.fill(arch, rng) if rng.random() < filled else arch

            # The ends are landmarks: the widest network is what distillation learned from, the smallest what all share.
            return ends + feasible.propose_new(rest, start, taken, [], rng)

        def pick() -> Arch:
            return parents[min(rng.randrange(len(parents)), rng.randrange(len(parents)))].arch

        def child() -> Arch:
            one = pick()
            if rng.random() < CROSSED:
                one = problem.space.cross(one, pick(), rng)
            one = problem.space.mutate(one, rng, rate)
            return feasible.fill(one, rng) if rng.random() < filled else feasible.repair(one, rng)

        return feasible.propose_new(children, child, seen, [one.arch for one in ranked], rng)

    return BatchedSearcher(problem, propose)


def rank(problem: Problem, known: list[Evaluated]) -> list[Evaluated]:
    """Return what is known from best to worst: front by front, and within a front the loneliest first."""
    points = [point(problem, one) for one in known]
    if len(problem.low) > 1:
        lines = [(-at.score, *problem.objectives_of(one.cost)) for at, one in zip(points, known, strict=True)]
        places = pareto.ranked(np.array(lines), np.array([at.excess for at in points])).tolist() if known else []
        return [known[i] for i in places]
    order = []
    for front in pareto.sort(points):
        distances = pareto.crowding([points[i] for i in front])
        order += [i for _, i in sorted(zip(distances, front, strict=True), key=lambda pair: -pair[0])]
    return [known[i] for i in order]


def point(problem: Problem, one: Evaluated) -> Point:
    low = problem.objectives_of(one.cost)[0]
    return (
        Point(0.0, low, float("inf")) if one.score == FAILED else Point(one.score, low, problem.budget.excess(one.cost))
    )
