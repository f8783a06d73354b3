"""Which networks of a space learn: drawn at random, or so that every choice comes equally often."""

from __future__ import annotations

import random

from litepose_nas.space import Arch, Space

RANDOM, FAIR = "random", "fair"


def drawn(space: Space, how: str, seed: int, step: int, count: int) -> list[Arch]:
    """The networks of a step, the same whenever they are asked for."""
    if how == FAIR:
        return [fair(space, seed, step * count + number) for number in range(count)]
    rng = random.Random(f"archs {seed} {step}")
    return [space.sample(rng) for _ in range(count)]


def fair(space: Space, seed: int, number: int) -> Arch:
    """A network by its number. In n networks a gene with n choices takes each once, then again in a new order."""
    values = []
    for gene in space.genes:
        turn, place = divmod(number, len(gene.choices))
        order = list(gene.choices)
        random.Random(f"fair {seed} {gene.path} {turn}").shuffle(order)
        values.append(order[place])
    return space.arch(values)
