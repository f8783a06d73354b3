"""The evolution of LitePose's paper, told again from what its released code does, over our search spaces.

A random population of 40, then 40 rounds: the ten best scores are parents and stay; 20 children are mutations of one of
them, 20 are mixtures of two. Each gene of a mutation is redrawn with a chance of 0.1 (and may come out as it was).
Whatever is beyond the budget is drawn again. One score counts, the MACs only as a limit, and networks that were
evaluated before are evaluated again: 1,640 evaluations in all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from litepose_nas.search.problem import Problem
from litepose_nas.space import Arch

POPULATION, ROUNDS, PARENTS, MUTATIONS, RATE = 40, 40, 10, 20, 0.1
SEARCHED = ("resolution", "stem", "width")  # the genes that the released sampler draws ...
KERNEL, EXPAND, DEPTHS = 7, 6, (4, 6, 8, 8)  # ... and the others as it fixes them
FROM_THE_FIRST = ("resolution", "stem")  # which its mixtures never take from the second parent


def evolution(
    problem: Problem, evaluate: Callable[[Arch], float], seed: int, as_released: bool = True
) -> Iterator[tuple[Arch, float]]:
    """Yield what it evaluates, with scores; not as released, it searches every gene of the space and mixes them all."""
    space, rng = problem.space, random.Random(seed)
    free = [gene for gene in space.genes if not as_released or gene.path.rpartition(".")[2] in SEARCHED]
    fixed = {"kernel": KERNEL, "expand": EXPAND}

    def values(arch: Arch) -> dict:
        return {
            gene.path: rng.choice(gene.choices) if value is None else value
            for gene, value in zip(space.genes, arch.values, strict=True)
        }

    def drawn() -> Arch:
        chosen = {gene.path: rng.choice(gene.choices) for gene in space.genes}
        if as_released:
            for path in chosen:
                name = path.rpartition(".")[2]
                chosen[path] = DEPTHS[int(path.split(".")[1])] if name == "depth" else fixed.get(name, chosen[path])
        return space.arch(chosen)

    def mutated() -> Arch:
        chosen = values(rng.choice(parents)[1])
        for gene in free:
            if rng.random() < RATE:
                chosen[gene.path] = rng.choice(gene.choices)
        return space.arch(chosen)

    def mixed() -> Arch:
        one, other = values(rng.choice(parents)[1]), values(rng.choice(parents)[1])
        stay = FROM_THE_FIRST if as_released else ()
        return space.arch({path: one[path] if path in stay else rng.choice((one[path], other[path])) for path in one})

    def scored(make: Callable[[], Arch]) -> tuple[float, Arch]:
        arch = make()
        while not problem.budget.ok(problem.cost(arch)):
            arch = make()
        return evaluate(arch), arch

    parents: list[tuple[float, Arch]] = []
    population: list[tuple[float, Arch]] = []
    for number in range(ROUNDS + 1):
        makers = [mutated] * MUTATIONS + [mixed] * (POPULATION - MUTATIONS) if number else [drawn] * POPULATION
        children = [scored(make) for make in makers]
        yield from ((arch, score) for score, arch in children)
        population = parents + children
        parents = sorted(population, key=lambda one: -one[0])[:PARENTS]
