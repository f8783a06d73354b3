"""Worlds whose every score is known, over real search spaces: what a search is tried on before it costs anything.

A world scores an architecture by the logarithm of its MACs, by an effect of each choice, and, in interacting worlds,
by an effect of each pair of choices of genes that are near each other in the space's tree. A gene that does not count
has no effect. An evaluation adds noise of its own.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.search.encoding import OFF, Genome
from litepose_nas.search.pareto import Point
from litepose_nas.search.problem import Problem
from litepose_nas.space import Arch, Gene, Space

KINDS = {"additive": 0.0, "interacting": 0.34, "strongly interacting": 0.45}  # share of variance drawn for pairs
TREND = 6.0  # points of score for e times the MACs
SPREAD = 1.0  # standard deviation of the scores at one cost
NOISE = 0.2  # standard deviation of an evaluation
SAMPLE = 8000


class World(NamedTuple):
    """A space, what is true of each architecture, and a budget."""

    space: Space
    problem: Problem
    true: Callable[[Arch], float]
    true_rows: Callable[[np.ndarray], np.ndarray]
    genome: Genome
    price: costs.Columns
    noise: float

    def evaluate(self, arch: Arch, seed: int) -> dict[str, float]:
        """Return the noisy score of an architecture; the same for the same seed."""
        return {"score": self.true(arch) + random.Random(f"{seed} {arch}").gauss(0, self.noise)}


def world(name: str, kind: str, seed: int, budget: str = "4GMAC", noise: float = NOISE) -> World:
    """Return the world of a kind and a seed over a space."""
    space = Space.load(name)
    genome, price, rng = Genome(space), costs.columns(space), np.random.default_rng(seed)
    near = pairs(space.genes) if KINDS[kind] else []
    weight = rng.exponential(size=len(space.genes)) + 0.1  # some genes matter much more than others
    single = [
        w * _centred(np.cumsum(rng.normal(size=len(g.choices)))) for w, g in zip(weight, space.genes, strict=True)
    ]
    both = {}
    for one, other in near:
        table = rng.normal(size=(len(space.genes[one].choices), len(space.genes[other].choices)))
        both[one, other] = (rng.exponential() + 0.1) * _centred(table)

    def genes_of(rows: np.ndarray) -> np.ndarray:
        return sum((_looked_up(single[at], rows[:, at]) for at in range(rows.shape[1])), np.zeros(len(rows)))

    def pairs_of(rows: np.ndarray) -> np.ndarray:
        on = [((rows[:, [i, j]] != OFF).all(axis=1) * table[rows[:, i], rows[:, j]]) for (i, j), table in both.items()]
        return np.sum(on, axis=0) if on else np.zeros(len(rows))

    sample = genome.draw(SAMPLE, rng)
    at_cost = _bins(np.log(price(sample)["macs"]))
    share = KINDS[kind]  # of the variance at one cost; what no sum over genes explains of it is a little less
    by_gene = SPREAD * np.sqrt(1 - share) / np.sqrt(_left(genes_of(sample), at_cost))
    by_pair = SPREAD * np.sqrt(share) / np.sqrt(_left(pairs_of(sample), at_cost)) if both else 0.0

    def above_trend(rows: np.ndarray) -> np.ndarray:
        return 40 + by_gene * genes_of(rows) + by_pair * pairs_of(rows)

    def true_rows(rows: np.ndarray) -> np.ndarray:
        return above_trend(rows) + TREND * np.log(price(rows)["macs"] / 1e9)

    @functools.cache
    def true(arch: Arch) -> float:
        return float(above_trend(genome.rows([arch]))[0]) + TREND * math.log(costs.cost(arch).macs / 1e9)

    problem = Problem(space, Budget.of([budget]), costs.cost, many=price)
    return World(space, problem, true, true_rows, genome, price, noise)


def interaction_share(found: World, seed: int = 0) -> float:
    """Return the share of the variance at one cost that no sum of effects of single genes explains.

    At one cost: what is left after the mean of forty bins of the logarithm of MACs. The sum is the best there is, by
    least squares on these bins and every choice of every gene together, on 8,000 uniform architectures.
    """
    rows = found.genome.draw(SAMPLE, np.random.default_rng(seed + 1000))
    scores = found.true_rows(rows)
    at_cost = _bins(np.log(found.price(rows)["macs"]))
    whole = _left(scores, at_cost)
    design = np.hstack([at_cost, np.log(found.price(rows)["macs"])[:, None], found.genome.onehot(rows)])
    fitted = design @ np.linalg.lstsq(design, scores, rcond=None)[0]
    return float(np.mean((scores - fitted) ** 2)) * SAMPLE / (SAMPLE - np.linalg.matrix_rank(design)) / whole


def pairs(genes: list[Gene]) -> list[tuple[int, int]]:
    """Return the places of near genes: of one block, of one stage, alike in neighbours, or with the input."""
    found = set()
    by_path = {gene.path: gene.at for gene in genes if len(gene.choices) > 1}
    for (path, at), (other, to) in itertools.combinations(by_path.items(), 2):
        parents = path.rpartition(".")[0], other.rpartition(".")[0]
        together = parents[0] == parents[1] and parents[0]
        if together or _next(path) == other or (path == "resolution" and re.fullmatch(r"stages\.\d+\.\w+", other)):
            found.add((at, to))
    return sorted(found)


def _next(path: str) -> str:
    """Return the path of the same gene one stage, or one block, further on."""
    head, number, tail = re.fullmatch(r"(.*?)(\d+)(\D*)$", path).groups() if re.search(r"\d", path) else (path, "", "")
    return f"{head}{int(number) + 1}{tail}" if number else path


def _centred(table: np.ndarray) -> np.ndarray:
    """Return a table whose every row and column sums to zero, of variance one."""
    for axis in range(table.ndim):
        table = table - table.mean(axis=axis, keepdims=True)
    return table / (table.std() or 1.0)


def _looked_up(table: np.ndarray, column: np.ndarray) -> np.ndarray:
    return np.where(column == OFF, 0.0, table[column])


def _bins(log_cost: np.ndarray, count: int = 40) -> np.ndarray:
    """Return which of so many equally full bins each belongs to, as columns of zeros and ones."""
    number = np.argsort(np.argsort(log_cost)) * count // len(log_cost)
    return np.eye(count)[number]


def _left(values: np.ndarray, bins: np.ndarray) -> float:
    """Return the variance of what the bins do not explain."""
    means = bins.T @ values / bins.sum(axis=0)
    return float(np.mean((values - bins @ means) ** 2))


def hypervolume(points: Iterable[Point], score: float, macs: float) -> float:
    """Return the area between the front of the points within the budget and a reference: a low score, many MACs."""
    area, floor = 0.0, score
    better = sorted((p for p in points if not p.excess and p.score > score and p.macs < macs), key=lambda p: p.macs)
    for point in better:
        if point.score > floor:
            area += (point.score - floor) * (macs - point.macs)
            floor = point.score
    return area
