"""The networks that the demo compares: two searched ones, the ends of the space, and one scaled uniformly."""

from __future__ import annotations

import math
from collections.abc import Sequence

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.errors import UserError
from litepose_nas.searching.front import best
from litepose_nas.searching.problem import Evaluated
from litepose_nas.space import Arch, Space

SEARCHED, SCALED = "searched-1", "scaled"


def contenders(found: Sequence[Evaluated], budgets: Sequence[str], space: Space, joints: int) -> dict[str, Arch]:
    """Return the networks by name: the best within each budget, and what they are compared with."""
    chosen: dict[str, Arch] = {}
    for number, text in enumerate(budgets, 1):
        one = best(found, Budget.of([text]))
        if one is None:
            raise UserError(f"none of {len(found)} networks could be scored within {text}; let the demo search longer")
        chosen[f"searched-{number}"] = one.arch
    return {
        **chosen,
        SCALED: scaled(space, costs.cost(chosen[SEARCHED], joints=joints).macs, joints),
        "smallest": space.smallest,
        "widest": space.widest,
    }


def label(name: str, budgets: Sequence[str]) -> str:
    """Return what a network is called in a table."""
    if name.startswith("searched-"):
        return f"searched within {budgets[int(name.partition('-')[2]) - 1]}"
    return "scaled uniformly" if name == SCALED else name


def scaled(space: Space, macs: int, joints: int) -> Arch:
    """Return the network nearest to these MACs among those whose choices all rise together, as a family is scaled.

    On the way from the smallest network to the widest every gene goes up in equal shares of its range; where several
    would step at once, they do it in the order of the space, so that nearly any cost can be met.
    """
    steps = sorted(
        ((number + 0.5) / (len(gene.choices) - 1), gene.at)
        for gene in space.genes
        for number in range(len(gene.choices) - 1)
    )
    places = [0] * len(space.genes)
    nearest, apart = space.smallest, math.inf
    for _, at in [(0.0, None), *steps]:
        if at is not None:
            places[at] += 1
        arch = space.arch([gene.choices[place] for gene, place in zip(space.genes, places, strict=True)])
        distance = abs(math.log(costs.cost(arch, joints=joints).macs / macs))
        if distance < apart:
            nearest, apart = arch, distance
    return nearest
