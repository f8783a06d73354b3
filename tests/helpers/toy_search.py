"""A space with closed-form costs and scores, small enough to know its best networks by looking at all."""

from types import SimpleNamespace

from litepose_nas.budget import Budget
from litepose_nas.costs import Cost
from litepose_nas.families.family import Family
from litepose_nas.search.problem import Problem
from litepose_nas.space import Space

WIDTHS = {"a": 5, "b": 3, "c": 8, "d": 2, "e": 6, "f": 4}  # what a choice of each gene costs
WORTHS = {"a": 9.0, "b": 6.0, "c": 7.0, "d": 5.0, "e": 4.0, "f": 8.0}


def read_all(tree, joints):
    _ = tree.resolution, tree.depth, [block.kernel for block in tree.blocks[: tree.depth]]
    _ = [getattr(tree, key) for key in vars_of(tree)]
    return []


def vars_of(tree):
    return [key for key in WIDTHS if key in (vars(tree) if isinstance(tree, SimpleNamespace) else tree._state[0])]


def space(choices=4, genes="abcdef", name="toy"):
    tree = {"resolution": [64, 96], "depth": [1, 2], "blocks": {"kernel": [3, 5]}}
    return Space(
        {**tree, **{key: list(range(1, choices + 1)) for key in genes}}, name, Family("toy", read_all, read_all)
    )


def cost(arch):
    values = arch.to_dict()
    blocks = sum(value for path, value in values.items() if path.endswith("kernel"))
    macs = sum(WIDTHS[key] * value for key, value in values.items() if key in WIDTHS) + blocks
    return Cost(macs * values["resolution"] * 1000, macs * 1500, macs * 10, macs * 40, values["resolution"] ** 2)


def score(arch):
    """Diminishing returns, and a pair of genes that help each other: no single gene tells the best network."""
    values = arch.to_dict()
    gains = sum(worth * values[key] ** 0.5 for key, worth in WORTHS.items() if key in values)
    blocks = sum(value for path, value in values.items() if path.endswith("kernel"))
    return gains + 0.3 * blocks + 1.5 * (values["a"] == values.get("f")) + values["resolution"] / 32


def problem(budget=(), **kwargs):
    return Problem(space(**kwargs), Budget.of(budget), cost)


def results(arch):
    return {"score": score(arch), "loss": 1 / score(arch), "ap": score(arch) / 100, "seconds": 0.5}
