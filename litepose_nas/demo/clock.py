"""How long the demo will take: expected from what was measured first, corrected by what has passed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from statistics import fmean

from litepose_nas import costs
from litepose_nas.demo.scale import DemoScale
from litepose_nas.space import Space, input_size
from litepose_nas.steps.common import duration
from litepose_nas.train.recipe import Recipe, changed

FORWARD = 0.35  # of a training step is the forward pass
DECODE, JUDGE = 0.004, 0.1  # seconds a picture, and a call of pycocotools
EXPORT, START = 12.0, 4.0  # seconds; START: a new process imports torch


class Clock:
    def __init__(self) -> None:
        self.expected: dict[str, float] = {}
        self._stage, self._began = "", time.perf_counter()

    def begin(self, stage: str) -> None:
        """Note that a stage begins; those before it are over."""
        for name in list(self.expected):
            if name == stage:
                break
            del self.expected[name]
        self._stage, self._began = stage, time.perf_counter()

    def whole(self) -> str:
        """How long the stages that have not begun take, in words."""
        return duration(sum(self.expected.values()))

    def left(self, share: float) -> str:
        """How long the rest of the demo takes, in words, when this share of the stage is done."""
        if not self.expected:
            return "?"
        passed = time.perf_counter() - self._began
        here = self.expected.get(self._stage, 0.0)
        whole = passed + (1 - share) * here  # the more is seen of a stage, the less its forecast counts
        slower = whole / here if here else 1.0  # and the stages to come are likely to be wrong by as much
        later = sum(value for name, value in self.expected.items() if name != self._stage)
        return duration((1 - share) * whole + slower * later)


def forecast(
    scale: DemoScale,
    space: Space,
    joints: int,
    recipe: Recipe,
    step: float,
    step_macs: float,
    lanes: int,
    alone: float,
    nets: Sequence[int],
) -> Mapping[str, float]:  # fmt: skip
    """The seconds of the stages that follow the first measurement.

    `step` is a late step of the supernet with the threads that were chosen, `alone` the same with one thread, and
    `step_macs` the MACs of its networks for one picture; `nets` are the MACs of those that will be fine-tuned.
    """
    low, high = (costs.cost(arch, joints=joints).macs for arch in (space.smallest, space.widest))
    middle = (low * high) ** 0.5
    each = alone / (step_macs * recipe.batch)  # for a MAC of one picture, on one thread
    first = recipe.widest_first if recipe.sandwich else 0.0
    sizes = [math.prod(input_size(resolution)) for resolution in space.resolutions]
    at_mean = high * fmean(sizes) / max(sizes)  # of the widest, in the steps in which it learns alone
    looks = scale.calibration + 2 * scale.slice
    batch = changed(recipe, scale.finetune).batch
    training = sum(nets) * scale.finetune_steps * batch * each
    judging = 2 * len(nets) * (scale.val * DECODE + 2 * JUDGE) + 2 * sum(nets) * scale.val * FORWARD * each
    return {
        "supernet": scale.supernet_steps * step * (1 - first + first * at_mean / step_macs),
        "search": START + scale.evals * (middle * looks * FORWARD * each + scale.slice * DECODE + JUDGE) / lanes,
        "networks": START + (training + judging) / lanes,
        "export": EXPORT,
        "ending": scale.resamples * 0.02 + 1,
    }
