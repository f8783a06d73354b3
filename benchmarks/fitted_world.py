"""A world whose scores follow what size, depth, width and kernels are worth on a real supernet.

`truth.py --space benchmarks/truth_sizes.yaml --pixels 128 --steps 2000` scores all 576 networks of a small space. A sum
of four logarithms is fitted to their AP: of the picture's side, the number of blocks, their mean width and their mean
kernel. The same sum scores the networks of a larger space: what is wrong with it is wrong for every search alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from litepose_nas.runs import journal
from litepose_nas.space import Arch, Space

EFFECTS = ("side", "blocks", "width", "kernel")


class FittedWorld(NamedTuple):
    weights: tuple[float, ...]  # points of AP for e times as much, one for each effect
    explained: float  # share of the variance of the truth

    def score(self, arch: Arch) -> float:
        return float(np.dot(self.weights, effects(arch)))


def effects(arch: Arch) -> list[float]:
    """The logarithms that count, for a space with depths, widths and kernels by stage, as LitePose's."""
    stages = arch.space.fill(arch.values).stages
    blocks = [stage.depth for stage in stages]
    return [
        float(np.log(max(arch.input))),
        float(np.log(sum(blocks))),
        float(np.average(np.log([stage.width for stage in stages]), weights=blocks)),
        float(np.average(np.log([stage.kernel for stage in stages]), weights=blocks)),
    ]


def fitted_world(path: Path) -> FittedWorld:
    """Fit the effects to a truth.jsonl."""
    found = journal.read(path)
    (family,) = found.header["families"]
    space = Space(family["tree"], "truth")
    rows = [(space.arch(one["arch"]), one["result"]["ap"]) for one in found.records if "again" not in one]
    x = np.array([[*effects(arch), 1.0] for arch, _ in rows])
    y = 100 * np.array([ap for _, ap in rows])
    weights, *_ = np.linalg.lstsq(x, y, rcond=None)
    explained = 1 - ((y - x @ weights) ** 2).mean() / y.var()
    return FittedWorld(tuple(map(float, weights[:-1])), float(explained))
