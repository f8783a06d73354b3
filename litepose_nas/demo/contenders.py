"""The networks that the demo compares: two searched ones, the ends of the space, and one scaled uniformly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.errors import UserError
from litepose_nas.search.pareto import best
from litepose_nas.search.problem import Evaluated
from litepose_nas.space import Arch, Space, Value

SEARCHED, SCALED = "searched-1", "scaled"
CLOSE = 0.06  # MACs that differ by less than this share are the same


def contenders(found: Sequence[Evaluated], budgets: Sequence[str], space: Space, joints: int) -> dict[str, Arch]:
    """The networks by name: the best within each budget, and what they are compared with."""
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
    if name.startswith("searched-"):
        return f"searched within {budgets[int(name.partition('-')[2]) - 1]}"
    return "scaled uniformly" if name == SCALED else name


def scaled(space: Space, macs: int, joints: int, held: Mapping[str, Value] = {}) -> Arch:
    """A network of about these MACs whose choices all stand at about the same share of their ranges.

    So a family of networks is scaled by hand. On the way from the smallest to the widest every gene rises in equal
    shares of its range, those that would step at once in the order of the space; those that are `held`, by their path,
    keep their value. A step of the resolution changes the cost by so much that no network near it would be met; so it
    may be off by one, as little as the cost allows.
    """
    resolutions = space.resolutions
    fixed = {gene.at: held[gene.path] for gene in space.genes if gene.path in held}
    genes = [gene for gene in space.genes if gene.path != "resolution" and gene.at not in fixed]
    steps = sorted(
        ((number + 0.5) / (len(gene.choices) - 1), gene.at) for gene in genes for number in range(len(gene.choices) - 1)
    )
    found: list[tuple[float, float, Arch]] = []
    for place, resolution in enumerate(resolutions):
        own = place / max(1, len(resolutions) - 1)
        places = {gene.at: 0 for gene in genes}
        for taken in range(len(steps) + 1):
            if taken:
                places[steps[taken - 1][1]] += 1
            values = [
                gene.choices[places[gene.at]] if gene.at in places else fixed.get(gene.at, resolution)
                for gene in space.genes
            ]
            arch = space.arch(values)
            off = abs(math.log(costs.cost(arch, joints=joints).macs / macs))
            uneven = abs(own - taken / max(1, len(steps))) if resolutions else 0.0
            found.append((max(0.0, off - CLOSE), uneven, arch))
    return min(found, key=lambda one: one[:2])[2]
