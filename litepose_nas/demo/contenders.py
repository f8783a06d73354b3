"""The networks that the demo compares: two searched ones, the ends of the space, and one scaled uniformly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.errors import UserError
from litepose_nas.search.evenly import evenly_scaled
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

    So a family of networks is scaled by hand. The resolution may be off, as little as the cost allows.
    """
    found = [
        (max(0.0, abs(math.log(costs.cost(one.arch, joints=joints).macs / macs)) - CLOSE), one.off, one.arch)
        for way in evenly_scaled(space, held)
        for one in way
    ]
    return min(found, key=lambda one: one[:2])[2]
