"""NSGA-II with constraint domination (Deb et al., 2002): the baseline of the searches, and their inner loop."""

from __future__ import annotations

import random

from litepose_nas.search import pareto
from litepose_nas.search.feasible import Feasible
from litepose_nas.search.pareto import Point
from litepose_nas.search.problem import FAILED, Evaluated, Problem
from litepose_nas.search.rounds import Rounds
from litepose_nas.space import Arch

CROSSED = 0.9  # the share of children with two parents


def searcher(problem: Problem, seed: int = 0, population: int = 20, children: int = 10, rate: float = 0.05) -> Rounds:
    """Return an NSGA-II that starts with a random population and then breeds some children a round.

    The budget is hard: what exceeds it is repaired and never proposed. Parents are taken from everything known.
    """
    problem = problem.remembering()
    feasible = Feasible(problem)

    def propose(known: list[Evaluated], number: int) -> list[Arch]:
        rng = random.Random(f"{seed}/{number}")
        seen = {one.arch for one in known}
        parents = select(problem, known, population)
        if number == 0 or not parents:
            ends = [
                end for end in (problem.space.smallest, problem.space.widest) if feasible.ok(end) and end not in seen
            ]
            rest = max(population - len(ends), 0)
            return ends + feasible.fresh(rest, lambda: feasible.draw(rng), seen | set(ends), [], rng)

        def pick() -> Arch:
            return parents[min(rng.randrange(len(parents)), rng.randrange(len(parents)))].arch

        def child() -> Arch:
            one = pick()
            if rng.random() < CROSSED:
                one = problem.space.cross(one, pick(), rng)
            return feasible.repair(problem.space.mutate(one, rng, rate), rng)

        return feasible.fresh(children, child, seen, [parent.arch for parent in parents], rng)

    return Rounds(problem, propose)


def select(problem: Problem, known: list[Evaluated], count: int) -> list[Evaluated]:
    """Return the best of what is known, front by front, and within a front the loneliest first."""
    points = [point(problem, one) for one in known]
    order = []
    for front in pareto.sort(points):
        distances = pareto.crowding([points[i] for i in front])
        order += [i for _, i in sorted(zip(distances, front, strict=True), key=lambda pair: -pair[0])]
    return [known[i] for i in order[:count]]


def point(problem: Problem, one: Evaluated) -> Point:
    """Return a network as selection sees it; one whose evaluation failed is as far from the budget as can be."""
    macs = problem.budget.macs(one.cost)
    return (
        Point(0.0, macs, float("inf"))
        if one.score == FAILED
        else Point(one.score, macs, problem.budget.excess(one.cost))
    )
