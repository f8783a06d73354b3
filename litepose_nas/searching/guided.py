"""Guided search: a model of the score proposes what is worth evaluating, and is fitted again after every round.

The start is random and stratified over the logarithm of the cost. Then, each round: the model is fitted on everything
known; NSGA-II breeds on the model alone, thousands of networks in a second; and of what it ends with, those are proposed
that would add most to the front if the model is right, or if it errs in their favour. A few proposals mutate the best
networks evaluated, and one is random: the model is not always right, and never where it has seen nothing.
"""

from __future__ import annotations

import random

from collections.abc import Sequence

import numpy as np

from litepose_nas.searching import pareto, surrogate
from litepose_nas.searching.feasible import Feasible
from litepose_nas.searching.genome import Genome, Rows
from litepose_nas.searching.pricing import Prices
from litepose_nas.searching.problem import FAILED, Evaluated, Problem
from litepose_nas.searching.rounds import Rounds
from litepose_nas.searching.surrogate import Sample
from litepose_nas.space import Arch

SPREAD = 5.0  # how far random rows lean: at the ends nine genes in ten take an end of their range
DRAWN = 60  # random rows for each one that is kept at the start
MOST = 400  # evaluations a model is fitted on: the nearest to the front
POPULATION, GENERATIONS = 100, 25
RATE, CROSSED = 0.05, 0.9
EDGE = 1.1
LOGGED = False
BOLDNESS = (0.0, 0.5, 1.0, 2.0)  # deviations added to a prediction, proposal by proposal in turn
MUTATED, RANDOM, TOP = 0.2, 0.1, 0.2  # shares of a round


def searcher(problem: Problem, seed: int = 0, start: int = 40, round: int = 10) -> Rounds:
    """Return a guided searcher: so many evaluations to start with, then so many a round.

    The budget is hard and nothing is proposed twice. Proposals follow from the seed and the rounds before alone.
    """
    problem = problem.remembering()
    feasible = Feasible(problem)
    genome = Genome(problem.space)
    prices = Prices(problem, genome)
    rows_of: dict[Arch, Rows] = {}

    def rows(archs: list[Arch]) -> Rows:
        for arch in archs:
            if arch not in rows_of:
                rows_of[arch] = genome.rows([arch])[0]
        return np.array([rows_of[arch] for arch in archs], dtype=np.int64).reshape(len(archs), len(genome.sizes))

    def propose(known: list[Evaluated], number: int) -> list[Arch]:
        rng, plain = np.random.default_rng([seed, number]), random.Random(f"{seed}/{number}")
        seen = {one.arch for one in known}
        scored = [one for one in known if one.score != FAILED]
        if number == 0 or len(scored) < 8:
            both = dict.fromkeys((problem.space.smallest, problem.space.widest))
            made = [end for end in both if feasible.ok(end)] if number == 0 else []
            made += _archs(genome, stratified(genome, prices, max(start - len(made), 0), rng))
            count = start
        else:
            made = _archs(genome, _Round(genome, prices, rows([one.arch for one in scored]), scored, rng).proposals(round))
            count = round
        new = [arch for arch in dict.fromkeys(made) if arch not in seen and feasible.ok(arch)][:count]
        taken = seen | set(new)
        around = [one.arch for one in sorted(scored, key=lambda one: -one.score)]
        return new + feasible.fresh(count - len(new), lambda: feasible.draw(plain), taken, around, plain)

    return Rounds(problem, propose)


def stratified(genome: Genome, prices: Prices, count: int, rng: np.random.Generator) -> Rows:
    """Return random rows within the budget, one of each of as many equal steps of the logarithm of the first cost."""
    drawn = np.unique(genome.draw(max(DRAWN * count, 1), rng, SPREAD), axis=0)
    rng.shuffle(drawn)
    costs = prices.of(drawn)
    ok = prices.ok(costs)
    drawn, logs = drawn[ok], prices.logs(prices.low(costs)[ok])[:, 0]
    if not len(drawn) or not count:
        return drawn[:0]
    edges = np.linspace(logs.min(), logs.max(), count + 1)[1:-1]
    _, first = np.unique(np.searchsorted(edges, logs), return_index=True)
    rest = np.setdiff1d(np.arange(len(drawn)), first)[: count - len(first)]  # where a step is empty
    return drawn[np.concatenate([first, rest])]


class _Round:
    """One round of proposals: a model fitted on what is known, and what it makes of candidates."""

    def __init__(self, genome: Genome, prices: Prices, rows: Rows, known: Sequence[Evaluated], rng: np.random.Generator):
        self.genome, self.prices, self.rng = genome, prices, rng
        scores = np.array([one.score for one in known])
        costs = prices.of(rows)
        order = pareto.ranked(self._points(scores, costs), prices.excess(costs))[:MOST]
        weights = np.array([float(one.result.get("share", 1.0)) for one in known])[order]
        self.seen = {row.tobytes() for row in rows}
        self.rows, self.costs = rows[order], costs[order]
        self.model = surrogate.fit(genome, Sample(self.rows, prices.logs(self.costs), scores[order], weights))
        self.known = self.model.mean(self.rows, prices.logs(self.costs))  # scores without most of their noise

    def proposals(self, count: int) -> Rows:
        """Return rows to evaluate, some more than asked for, the ones to be sure of first."""
        mutated, free = round_half(MUTATED * count), round_half(RANDOM * count)
        bred = self._breed()
        best = self.rows[pareto.layers(self._points(self.known, self.costs), self.prices.excess(self.costs)) == 0]
        near = self.genome.mutate(best[self.rng.integers(0, len(best), 2 * POPULATION)], 0.0, self.rng)
        parts = [
            self._gainful(bred, count - mutated - free),
            self._gainful(near, mutated),
            stratified(self.genome, self.prices, free, self.rng),
        ]
        return np.concatenate([*parts, bred])

    def _breed(self) -> Rows:
        """Return what NSGA-II ends with when the model keeps the scores, best first."""
        genome, rng = self.genome, self.rng
        rows = self._survivors(np.concatenate([self.rows, genome.draw(POPULATION, rng, SPREAD)]))
        for _ in range(GENERATIONS):
            # The better of two, twice over: survivors are sorted.
            ones, others = rng.integers(0, len(rows), (2, 2, POPULATION)).min(axis=1)
            both = genome.cross(rows[ones], rows[others], rng)
            alone = rng.random((POPULATION, 1)) >= CROSSED
            children = genome.mutate(genome.canonical(np.where(alone, rows[ones], both)), RATE, rng)
            rows = self._survivors(np.concatenate([rows, children]))
        return rows

    def _survivors(self, rows: Rows) -> Rows:
        rows = np.unique(rows, axis=0)
        costs = self.prices.of(rows)
        means = self.model.mean(rows, self.prices.logs(costs))
        return rows[pareto.ranked(self._points(means, costs), self.prices.excess(costs))[:POPULATION]]

    def _gainful(self, rows: Rows, count: int) -> Rows:
        """Return the rows that add most to the front of what is known and of each other, in the model's eyes."""
        rows = np.unique(rows, axis=0)
        costs = self.prices.of(rows)
        new = self.prices.ok(costs) & np.array([row.tobytes() not in self.seen for row in rows])
        rows, costs = rows[new], costs[new]
        if not len(rows) or not count:
            return rows[:0]
        logs = self.prices.logs(costs)
        means, deviations = self.model.mean(rows, logs), self.model.deviation(rows, logs)
        low, known = self.prices.low(costs), self.prices.low(self.costs)
        if low.shape[1] > 1:
            bold = means + deviations
            chosen = pareto.ranked(self._points(bold, costs), np.zeros(len(rows)))[:count].tolist()
        else:
            ok = self.prices.ok(self.costs)
            chosen = gains(
                means, deviations, low[:, 0], self.known[ok], known[ok, 0], count
            )
        self.seen |= {rows[i].tobytes() for i in chosen}
        return rows[chosen]

    def _points(self, scores: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """Return what to keep low, a line each: minus the score, then the costs."""
        return np.hstack([-scores[:, None], self.prices.low(costs)])


def gains(means, deviations, costs, known, known_costs, count: int) -> list[int]:
    """Return which candidates add most area to the front, one after the other, each as boldly as its turn allows."""
    most = EDGE * max(costs.max(), known_costs.max(initial=0))
    floor = min(means.min(), known.min(initial=np.inf)) - (means.max() - means.min())
    chosen: list[int] = []
    tops = round_half(TOP * count)
    for turn in range(min(count, len(means))):
        bold = means + BOLDNESS[turn % len(BOLDNESS)] * deviations
        x = np.concatenate([known_costs, costs[chosen]])
        y = np.concatenate([known, means[chosen]])
        if turn < tops:
            gain = bold.copy()
        else:
            order = np.argsort(x, kind="stable")
            starts = np.concatenate([[0.0], x[order]])
            ends = np.concatenate([x[order], [most]])
            heights = np.maximum.accumulate(np.concatenate([[floor], y[order]]))
            if LOGGED:
                starts, ends, at = np.log(np.maximum(starts, 1.0)), np.log(ends), np.log(costs)
            else:
                at = costs
            wide = np.maximum(ends - np.maximum(starts, at[:, None]), 0)
            gain = (wide * np.maximum(bold[:, None] - heights, 0)).sum(axis=1)
            gain = gain + 1e-9 * (bold - means.min())
        gain[chosen] = -np.inf
        chosen.append(int(np.argmax(gain)))
    return chosen


def round_half(value: float) -> int:
    """Return the nearest whole number."""
    return int(value + 0.5)


def _archs(genome: Genome, rows: Rows) -> list[Arch]:
    return [genome.arch(row) for row in rows]
