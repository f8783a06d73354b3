"""Architectures within the budget: drawing them, repairing others, and finding those that are left; it always ends."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property

from litepose_nas.search.problem import Problem
from litepose_nas.space import Arch, Value

DRAWS = 20  # random tries before a draw is repaired instead
TRIES = 50  # tries in a row that give nothing new before what is left is listed instead
TINY = 4096  # spaces up to this size are listed whole


class Feasible:
    """The part of a problem's space within its budget, and that the target can run."""

    def __init__(self, problem: Problem):
        """Find an architecture within the budget, or raise a UserError with the range of the space."""
        problem.check()
        self.space, self.budget, self._cost = problem.space, problem.budget, problem.cost
        self._runs = problem.runs
        self.anchor = problem.feasible or self.budget.check_reachable(
            self.space, price=self._cost, broken=problem.broken
        )

    def ok(self, arch: Arch) -> bool:
        return self.budget.ok(self._cost(arch)) and self._runs(arch)

    def draw(self, rng: random.Random) -> Arch:
        """Return a random architecture within the budget: a uniform one if a few draws find it, else a repaired one."""
        for _ in range(DRAWS):
            arch = self.space.sample(rng)
            if self.ok(arch):
                return arch
        return self.repair(arch, rng)

    def repair(self, arch: Arch, rng: random.Random) -> Arch:
        """Return the architecture, or one within the budget on a random way from it to one that is known to be."""
        return arch if self.ok(arch) else self._last_kept(self.anchor, arch, rng)

    def fill(self, arch: Arch, rng: random.Random) -> Arch:
        """Return an architecture near the edge of the budget on a random way from this one to the widest."""
        widest = self.space.widest
        return widest if self.ok(widest) else self._last_kept(self.repair(arch, rng), widest, rng)

    def _last_kept(self, kept: Arch, over: Arch, rng: random.Random) -> Arch:
        """Return an architecture between one within the budget and one beyond it, where it is about to be passed.

        The way changes one gene by one choice at a time. Halving it takes a dozen costs instead of a hundred, and needs
        no more than that its ends are as they should be.
        """
        here, there = self._indices(kept), self._indices(over)
        steps = [at for at, (a, b) in enumerate(zip(here, there, strict=True)) for _ in range(abs(a - b))]
        rng.shuffle(steps)

        def after(count: int) -> Arch:
            moved = list(here)
            for at in steps[:count]:
                moved[at] += 1 if moved[at] < there[at] else -1
            return self.space.arch([gene.choices[i] for gene, i in zip(self.space.genes, moved, strict=True)])

        low, high = 0, len(steps)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.ok(after(middle)) else (low, middle)
        return after(low)

    def propose_new(
        self, count: int, make: Callable[[], Arch], seen: Collection[Arch], around: Iterable[Arch], rng: random.Random
    ) -> list[Arch]:
        """Return up to count architectures not seen yet: made ones while that works, then whatever is left.

        `around` are architectures whose neighbourhood is worth a look when nothing new is made.
        """
        new: dict[Arch, None] = {}
        misses = 0
        while len(new) < count and misses < TRIES:
            arch = make()
            misses = misses + 1 if arch in seen or arch in new else 0
            if not misses:
                new[arch] = None
        if len(new) < count:
            for arch in self._left(around, rng):
                if arch not in seen:
                    new[arch] = None
                if len(new) == count:
                    break
        return list(new)

    def _left(self, around: Iterable[Arch], rng: random.Random) -> Iterator[Arch]:
        """Yield everything within the budget of a tiny space; of a larger one, what is one choice from known ones."""
        if self._everything is not None:
            yield from rng.sample(self._everything, len(self._everything))
            return
        for arch in [*around, self.anchor]:
            yield from (other for other in self.space.neighbours(arch) if self.ok(other))

    @cached_property
    def _everything(self) -> list[Arch] | None:
        return [arch for arch in self.space if self.ok(arch)] if self.space.size <= TINY else None

    def _indices(self, arch: Arch) -> list[int]:

        def index(choices: tuple[Value, ...], value: Value | None) -> int:
            return 0 if value is None else choices.index(value)

        return [index(gene.choices, value) for gene, value in zip(self.space.genes, arch.values, strict=True)]
