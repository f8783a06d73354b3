"""Rows of choice numbers priced by the thousand, and what a problem makes of the prices."""

from __future__ import annotations

import numpy as np

from litepose_nas.search.encoding import Genome, Rows
from litepose_nas.search.problem import Problem
from litepose_nas.targets.op_set import UNSUPPORTED

CHECKED = 24  # rows that are priced both ways before the quick one is trusted


class Prices:
    """The costs that a problem uses, of many rows at once."""

    def __init__(self, problem: Problem, genome: Genome, seed: int = 0):
        """Take a problem; its quick prices are used only if they equal the exact ones on a few random rows."""
        self._problem, self._genome = problem, genome
        self._known = problem.cost(problem.space.smallest)._fields
        self.limits = problem.budget.limits
        self.objectives = problem.low
        self._broken = problem.broken
        fields = dict.fromkeys([*self.objectives, *(limit.field for limit in self.limits)])
        # A model likes to know both, and both are cheap.
        self._quick = problem.many if problem.many and self._agrees(list(fields), seed) else None
        self.fields = list(dict.fromkeys([*fields, "macs", "params"]))

    def of(self, rows: Rows) -> np.ndarray:
        """The costs, a line each; where there is an op set, its broken rules come last."""
        found = self._quick(rows) if self._quick else self._exact(rows)
        fields = [*self.fields, *([UNSUPPORTED] if self._broken else [])]
        return np.stack([found[field] for field in fields], axis=1).astype(float)

    def low(self, costs: np.ndarray) -> np.ndarray:
        return costs[:, [self.fields.index(field) for field in self.objectives]]

    def ok(self, costs: np.ndarray) -> np.ndarray:
        kept = np.ones(len(costs), dtype=bool)
        for limit in self.limits:
            kept &= costs[:, self.fields.index(limit.field)] <= limit.most
        return kept & (costs[:, -1] == 0) if self._broken else kept

    def excess(self, costs: np.ndarray) -> np.ndarray:
        """Return by how much each line passes the limits, relative to each and summed."""
        over = np.zeros(len(costs))
        for limit in self.limits:
            over += np.maximum(costs[:, self.fields.index(limit.field)] / limit.most - 1, 0)
        return over + costs[:, -1] if self._broken else over

    def logs(self, costs: np.ndarray) -> np.ndarray:
        """Return the logarithms of the costs, which is how scores follow them."""
        return np.log(np.maximum(costs[:, : len(self.fields)], 1e-12))

    def _exact(self, rows: Rows) -> dict[str, np.ndarray]:
        costs = [self._problem.cost(self._genome.arch(row)) for row in rows]
        found = {field: np.array([getattr(cost, field) for cost in costs]) for field in self._known}
        if broken := self._broken:
            found[UNSUPPORTED] = np.array([broken(self._genome.arch(row)) for row in rows])
        return found

    def _agrees(self, fields: list[str], seed: int) -> bool:
        rows = self._genome.draw(CHECKED, np.random.default_rng(seed), 3.0)
        try:
            quick = self._problem.many(rows) if self._problem.many else {}
        except (ValueError, LookupError, TypeError):
            return False
        exact = self._exact(rows)
        fields = [*fields, *([UNSUPPORTED] if self._broken else [])]
        return all(field in quick and np.array_equal(quick[field], exact[field]) for field in fields)
