"""Architectures as rows of choice numbers, so that thousands are drawn, bred and priced at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from litepose_nas.space import Arch, Space
from litepose_nas.space_file import reach

OFF = -1  # the choice number of a gene that does not count
Rows = np.ndarray


class Genome:
    """The genes of a space as columns; every row that is handed out is canonical, as architectures are."""

    def __init__(self, space: Space):
        self.space = space
        self.sizes = np.array([len(gene.choices) for gene in space.genes], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)
        self._numbers = [{choice: i for i, choice in enumerate(gene.choices)} for gene in space.genes]
        at_path = {gene.path: gene.at for gene in space.genes}
        # The genes of later frames of a clip that the first of them has as well, and where.
        own = [frame.choices for frame in space.widest.clip if frame.choices]
        self._twins = [
            (gene.at, at_path[twin])
            for choices in own
            for gene in space.genes
            if gene.path.startswith(choices)
            and (twin := own[0] + gene.path.removeprefix(choices)) in at_path
            and gene.choices == space.genes[at_path[twin]].choices  # an op set may have cut one of them alone
        ]
        gated: dict[tuple[tuple[int, int], ...], list[int]] = defaultdict(list)
        for gene in space.genes:
            if gene.gates:
                gated[gene.gates].append(gene.at)
        # Gates in the order of their genes: a depth comes before what it gates, so one pass settles nested ones.
        self._gated = [
            ([(at, sum(reach(choice) <= number for choice in space.genes[at].choices)) for at, number in gates], ats)
            for gates, ats in gated.items()
        ]

    def rows(self, archs: Sequence[Arch]) -> Rows:
        numbers = self._numbers
        values = [
            [OFF if value is None else numbers[at][value] for at, value in enumerate(arch.values)] for arch in archs
        ]
        return np.array(values, dtype=np.int64).reshape(len(archs), len(numbers))

    def arch(self, row: Rows) -> Arch:
        pairs = zip(self.space.genes, row.tolist(), strict=True)
        return self.space.arch([None if i == OFF else gene.choices[i] for gene, i in pairs])

    def canonical(self, rows: Rows) -> Rows:
        """Return the rows with the genes switched off that do not count."""
        rows = rows.copy()
        for gates, ats in self._gated:
            off = np.zeros(len(rows), dtype=bool)
            for at, least in gates:
                off |= rows[:, at] < least
            for at in ats:
                rows[off, at] = OFF
        return rows

    def draw(self, count: int, rng: np.random.Generator, spread: float = 0.0) -> Rows:
        """Return random rows: uniform ones, or with a spread, each leaning towards small or large choices as a whole.

        Uniform genes crowd at one cost; leaning ones reach from the cheapest networks to the dearest.
        """
        lean = rng.uniform(-spread, spread, (count, 1))
        at = rng.random((count, len(self.sizes)))
        # Drawn from a density proportional to exp(lean * x) on [0, 1), by inverting its distribution.
        tilted = np.where(np.abs(lean) < 1e-3, at, np.log1p(at * np.expm1(lean)) / np.where(lean == 0, 1, lean))
        return self.canonical(np.minimum((tilted * self.sizes).astype(np.int64), self.sizes - 1))

    def alike(self, rows: Rows) -> Rows:
        """Return the rows of clips with every later frame as the first of them; other rows as they are."""
        if not self._twins:
            return rows
        rows = rows.copy()
        at, first = zip(*self._twins, strict=True)
        rows[:, at] = rows[:, first]
        return self.canonical(rows)

    def mutate(self, rows: Rows, rate: float, rng: np.random.Generator) -> Rows:
        """Return rows with each gene redrawn with this rate, one that counts at least."""
        free = (rows != OFF) & (self.sizes > 1)
        hit = (rng.random(rows.shape) < rate) & free
        none = ~hit.any(axis=1)
        if none.any():
            chance = np.where(free[none], rng.random((int(none.sum()), rows.shape[1])), -1.0)
            hit[np.flatnonzero(none), chance.argmax(axis=1)] = True
        hit &= free
        other = (rows + 1 + rng.integers(0, np.maximum(self.sizes - 1, 1), rows.shape)) % self.sizes
        return self.canonical(np.where(hit, other, self._whole(rows, rng)))

    def cross(self, ones: Rows, others: Rows, rng: np.random.Generator) -> Rows:
        """Return rows whose every gene comes from one parent or the other with equal chance."""
        mine = np.where(ones == OFF, others, ones)
        yours = np.where(others == OFF, ones, others)
        return self.canonical(self._whole(np.where(rng.random(ones.shape) < 0.5, mine, yours), rng))

    def onehot(self, rows: Rows) -> np.ndarray:
        out = np.zeros((len(rows), int(self.sizes.sum())))
        at, gene = np.nonzero(rows != OFF)
        out[at, self.starts[gene] + rows[at, gene]] = 1.0
        return out

    def _whole(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Return the rows with a random choice where a gene is off: what a larger depth may switch on."""
        return np.where(rows == OFF, rng.integers(0, self.sizes, rows.shape), rows)
