"""Guided search: a model of the score proposes what is worth evaluating, and is fitted again after every round.

The start has the ends of the space and networks scaled evenly to the budget; the rest of it is random and stratified
over the logarithm of the cost. Then, each round: the model is fitted on what is
known; NSGA-II breeds on the model alone, thousands of networks in a second; and of what it ends with, those are
proposed that would add most to the front if the model is right, or if it errs in their favour. A few proposals mutate
the best networks evaluated, and one is random: no model is right about what is unlike all that it has seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from litepose_nas.search import evenly, pareto, surrogate
from litepose_nas.search.batched import BatchedSearcher
from litepose_nas.search.encoding import Genome, Rows
from litepose_nas.search.feasible import Feasible
from litepose_nas.search.pricing import Prices
from litepose_nas.search.problem import Evaluated, Problem
from litepose_nas.search.ranking import FAILED
from litepose_nas.search.surrogate import Sample
from litepose_nas.space import Arch

FEWEST = 8  # scores that a model can be fitted on
MOST = 400  # and that it is: the nearest to the front
SPREAD = 5.0  # how far random rows lean to small or large choices: from the cheapest networks to the dearest
DRAWN = 60  # random rows for each one that is kept
POPULATION, GENERATIONS = 100, 25
RATE, CROSSED = 0.05, 0.9  # of genes redrawn in a child, of children with two parents
EVEN = 0.2  # of the start: networks scaled evenly to the budget
MUTATED, RANDOM, TOP = 0.2, 0.1, 0.2  # shares of a round: beside the best known, anywhere, for the best score alone
BOLDNESS = (0.0, 0.5, 1.0, 2.0)  # deviations that are added to a prediction, proposal by proposal in turn
GROWING = 20  # a round is at least 1/20 of what is known: a few more results hardly change the model
EDGE = 1.1  # how far beyond the dearest network known a better score is still worth something


def searcher(problem: Problem, seed: int = 0, start: int = 40, round: int = 10) -> BatchedSearcher:
    """Return a guided searcher: `start` evaluations, then `round` at a time, or a twentieth of all so far if more.

    The budget is hard and nothing is proposed twice. Proposals follow from the seed and the rounds before, and from
    nothing else.
    """
    problem = problem.remembering()
    feasible = Feasible(problem)
    genome = Genome(problem.space)
    prices = Prices(problem, genome)
    rows_of: dict[Arch, Rows] = {}

    def rows(known: Sequence[Evaluated]) -> Rows:
        for one in known:
            if one.arch not in rows_of:
                rows_of[one.arch] = genome.rows([one.arch])[0]
        return np.array([rows_of[one.arch] for one in known])

    def first(rng: np.random.Generator) -> list[Arch]:
        # The ends are landmarks: the widest network is what distillation learned from, the smallest what all share.
        ends = [end for end in dict.fromkeys((problem.space.smallest, problem.space.widest)) if feasible.ok(end)]
        # What an engineer would scale to the budget by hand is a good place to start from, and to be better than.
        even = evenly.largest(problem.space, feasible.ok, int(EVEN * start))
        marks = list(dict.fromkeys([*ends, *even]))
        return marks + _archs(genome, stratified(genome, prices, start - len(marks), rng))

    def propose(known: list[Evaluated], number: int) -> list[Arch]:
        rng, plain = np.random.default_rng([seed, number]), random.Random(f"{seed}/{number}")
        scored = [one for one in known if one.score != FAILED]
        count = max(round, len(known) // GROWING) if number else start
        if number and len(scored) >= FEWEST:
            made = _archs(genome, _Round(genome, prices, rows(scored), scored, rng).proposals(count))
        else:
            made = _archs(genome, stratified(genome, prices, count, rng)) if number else first(rng)
        seen = {one.arch for one in known}
        new = [arch for arch in dict.fromkeys(made) if arch not in seen and feasible.ok(arch)][:count]
        around = [one.arch for one in sorted(scored, key=lambda one: -one.score)]
        return new + feasible.propose_new(count - len(new), lambda: feasible.draw(plain), {*seen, *new}, around, plain)

    return BatchedSearcher(problem, propose)


def stratified(genome: Genome, prices: Prices, count: int, rng: np.random.Generator) -> Rows:
    """Return random rows within the budget, one in each of as many equal steps of the logarithm of the first cost."""
    if count < 1:
        return genome.draw(0, rng)
    drawn = genome.draw(DRAWN * count, rng, SPREAD)
    drawn[::2] = genome.alike(drawn[::2])  # among clips, those that spend evenly are few, and a place to start from
    drawn = np.unique(drawn, axis=0)
    rng.shuffle(drawn)
    costs = prices.of(drawn)
    ok = prices.ok(costs)
    drawn, logs = drawn[ok], np.log(np.maximum(prices.low(costs[ok])[:, 0], 1e-12))
    if len(drawn) <= count:
        return drawn
    edges = np.linspace(logs.min(), logs.max(), count + 1)[1:-1]
    _, one_each = np.unique(np.searchsorted(edges, logs), return_index=True)
    others = np.setdiff1d(np.arange(len(drawn)), one_each)  # for the steps that nothing fell into
    return drawn[np.concatenate([one_each, others])[:count]]


class _Candidates(NamedTuple):
    """Rows, their costs, and what the model expects of them."""

    rows: Rows
    costs: np.ndarray
    means: np.ndarray

    def take(self, places: np.ndarray) -> _Candidates:
        return _Candidates(self.rows[places], self.costs[places], self.means[places])


class _Round:
    """One round of proposals: a model fitted on what is known, and what it makes of candidates."""

    def __init__(
        self, genome: Genome, prices: Prices, rows: Rows, known: Sequence[Evaluated], rng: np.random.Generator
    ):
        self.genome, self.prices, self.rng = genome, prices, rng
        self.seen = {row.tobytes() for row in rows}
        costs, scores = prices.of(rows), np.array([one.score for one in known])
        nearest = self._ranked(_Candidates(rows, costs, scores))[:MOST]
        rows, costs = rows[nearest], costs[nearest]
        self.model = surrogate.fit(genome, Sample(rows, prices.logs(costs), scores[nearest]))
        self.known = self._seen_by_model(rows, costs)  # scored by the model: that takes out most of the noise

    def proposals(self, count: int) -> Rows:
        """Return rows to evaluate, the ones to be sure of first, and more than asked for if there are."""
        mutated, free = _nearest(MUTATED * count), _nearest(RANDOM * count)
        bred = self._breed()
        points, excess = self._points(self.known)
        best = self.known.rows[pareto.layers(points, excess) == 0]
        beside = self.genome.mutate(best[self.rng.integers(0, len(best), 2 * POPULATION)], 0.0, self.rng)
        return np.concatenate(
            [
                self._worth_most(bred, count - mutated - free),
                self._worth_most(self._seen_by_model(beside), mutated),
                stratified(self.genome, self.prices, free, self.rng),
                bred.rows,
            ]
        )

    def _breed(self) -> _Candidates:
        """Return what NSGA-II ends with when the model keeps the scores, best first."""
        genome, rng = self.genome, self.rng
        found = self._survivors(self.known, self._seen_by_model(genome.draw(POPULATION, rng, SPREAD)))
        for _ in range(GENERATIONS):
            # Parents are the better of two, for survivors are sorted.
            ones, others = found.rows[rng.integers(0, len(found.rows), (2, 2, POPULATION)).min(axis=1)]
            alone = rng.random((POPULATION, 1)) >= CROSSED
            children = genome.canonical(np.where(alone, ones, genome.cross(ones, others, rng)))
            found = self._survivors(found, self._seen_by_model(genome.mutate(children, RATE, rng)))
        return found

    def _survivors(self, ones: _Candidates, others: _Candidates) -> _Candidates:
        both = _Candidates(*(np.concatenate(pair) for pair in zip(ones, others, strict=True)))
        both = both.take(np.unique(both.rows, axis=0, return_index=True)[1])
        return both.take(self._ranked(both)[:POPULATION])

    def _worth_most(self, found: _Candidates, count: int) -> Rows:
        """Return the rows that promise to add most to the front, and notes them as seen."""
        found = found.take(np.unique(found.rows, axis=0, return_index=True)[1])
        new = np.array([row.tobytes() not in self.seen for row in found.rows], dtype=bool)
        found = found.take(np.flatnonzero(new & self.prices.ok(found.costs)))
        if not len(found.rows) or count < 1:
            return found.rows[:0]
        deviations = self.model.deviation(found.rows, self.prices.logs(found.costs))
        low, kept = self.prices.low(found.costs), self.known.take(np.flatnonzero(self.prices.ok(self.known.costs)))
        if low.shape[1] == 1:
            front = kept.means, self.prices.low(kept.costs)[:, 0]
            chosen = gains(found.means, deviations, low[:, 0], *front, count)
        else:  # area has no short name in more dimensions; being far from the others on the best front has
            chosen = self._ranked(found._replace(means=found.means + deviations))[:count].tolist()
        self.seen |= {found.rows[at].tobytes() for at in chosen}
        return found.rows[chosen]

    def _seen_by_model(self, rows: Rows, costs: np.ndarray | None = None) -> _Candidates:
        costs = self.prices.of(rows) if costs is None else costs
        return _Candidates(rows, costs, self.model.mean(rows, self.prices.logs(costs)))

    def _ranked(self, found: _Candidates) -> np.ndarray:
        return pareto.ranked(*self._points(found))

    def _points(self, found: _Candidates) -> tuple[np.ndarray, np.ndarray]:
        """Return what to keep low, a line each (minus the score, the costs), and the excess over the budget."""
        return np.hstack([-found.means[:, None], self.prices.low(found.costs)]), self.prices.excess(found.costs)


def gains(
    means: np.ndarray, deviations: np.ndarray, costs: np.ndarray, known: np.ndarray, known_costs: np.ndarray, count: int
) -> list[int]:
    """Return which candidates add most area to the known front, one after the other, each as if those before came true.

    The first few are those of the best score whatever it costs, for that is what a budget is asked for.
    """
    most = EDGE * max(costs.max(), known_costs.max(initial=0))
    floor = min(means.min(), known.min(initial=np.inf)) - np.ptp(means)
    chosen: list[int] = []
    for turn in range(min(count, len(means))):
        bold = means + BOLDNESS[turn % len(BOLDNESS)] * deviations
        gain = bold
        if turn >= _nearest(TOP * count):
            x = np.concatenate([known_costs, costs[chosen]])
            order = np.argsort(x, kind="stable")
            heights = np.concatenate([[floor], np.concatenate([known, means[chosen]])[order]])
            starts, ends = np.concatenate([[0.0], x[order]]), np.concatenate([x[order], [most]])
            wide = np.maximum(ends - np.maximum(starts, costs[:, None]), 0)
            gain = (wide * np.maximum(bold[:, None] - np.maximum.accumulate(heights), 0)).sum(axis=1)
            gain = gain + 1e-9 * (bold - bold.min())  # of those that add nothing, the better
        gain = gain.copy()
        gain[chosen] = -np.inf
        chosen.append(int(np.argmax(gain)))
    return chosen


def _archs(genome: Genome, rows: Rows) -> list[Arch]:
    return [genome.arch(row) for row in rows]


def _nearest(value: float) -> int:
    return int(value + 0.5)
