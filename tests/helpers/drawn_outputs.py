"""What a good bottom-up network would say of drawn people, and how near to one another its assignments are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional

from litepose_nas.pose import grouping
from litepose_nas.pose.bottomup_decode import resize
from litepose_nas.pose.targets import bottomup_targets, scale_joints
from litepose_nas.synthetic.scene import HARD, draw_picture

JOINTS = 17
GAP = 1.5  # between the tags of two people
FIELD = HARD._replace(  # everybody is to be seen, as far as others leave room
    things=0.0, cut=0.0, crowd=0.0, shapes=(0, 0), sticks=(0, 0), blur=0.0, motion=0.0, shown_joints=0, aspects=(1.0,),
)  # fmt: skip


def drawn_outputs(people: int, size: int, seed: int) -> list[Tensor]:
    """Both outputs for one picture of `size` pixels: targets of uneven height on a noisy ground, noisy tags.

    A tenth of the joints is missing; at each place stands the tag of the person whose joint is nearest.
    """
    rng = np.random.default_rng(seed)
    tall = (0.8 / people**0.5, 1.0 / people**0.5)
    picture = draw_picture(rng, size // 4, FIELD._replace(people=(people, people), tall=tall))  # small: it is painted
    joints = torch.tensor(np.array([person.joints for person in picture.people]), dtype=torch.float32)
    joints[..., :2] *= 4
    joints[..., 2] *= torch.from_numpy(rng.uniform(size=joints.shape[:2]) > 0.1)
    coarse, fine = (size // 4, size // 4), (size // 2, size // 2)
    heatmaps, _ = bottomup_targets(joints[None], (size, size), [coarse, fine])
    height, ground = (torch.from_numpy(rng.random((1, JOINTS, 8, 8), np.float32)) for _ in range(2))
    heatmaps = [maps * (0.3 + 0.7 * resize(height, maps.shape[2:])) for maps in heatmaps]
    noise = [torch.from_numpy(rng.random(maps.shape, np.float32)) for maps in heatmaps]
    heatmaps = [
        maps + 0.03 * resize(ground, maps.shape[2:]) + 0.02 * more for maps, more in zip(heatmaps, noise, strict=True)
    ]
    places = scale_joints(joints, (size, size), coarse)
    own = torch.from_numpy(GAP * rng.permutation(people)).float()
    grid = torch.stack(torch.meshgrid(*map(torch.arange, coarse), indexing="ij")[::-1], -1) + 0.5
    far = (places[:, :, None, None, :2] - grid).square().sum(-1) + 1e9 * (places[:, :, None, None, 2] == 0)
    tags = own[far.argmin(0)] + torch.from_numpy(rng.normal(0, 0.1, (JOINTS, *coarse))).float()
    return [torch.cat([heatmaps[0], tags[None]], 1), heatmaps[1]]


class Given(nn.Module):
    """A network whose picture holds both its outputs, as `packed` puts them there."""

    def __init__(self, joints: int = JOINTS):
        super().__init__()
        self.joints = joints

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        coarse, fine = inputs[0].split([2 * self.joints, 4 * self.joints], dim=1)
        return coarse, functional.pixel_shuffle(fine, 2)


def packed(outputs: list[Tensor]) -> Tensor:
    return torch.cat([outputs[0], functional.pixel_unshuffle(outputs[1], 2)], 1)


@contextmanager
def nearest_assignments() -> Iterator[list[float]]:
    """What is put into the list: how much dearer than the cheapest the next assignment was, for each that was made."""
    gaps: list[float] = []
    solve: Callable = grouping.linear_sum_assignment

    def watched(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gaps.append(gap(cost))
        return solve(cost)

    grouping.linear_sum_assignment = watched
    try:
        yield gaps
    finally:
        grouping.linear_sum_assignment = solve


def gap(cost: np.ndarray) -> float:
    """How much dearer the cheapest assignment is that differs; who is left to nobody is no matter."""
    cost = np.where(cost > 1e9, 1e5, cost)
    rows, columns = linear_sum_assignment(cost)
    least = cost[rows, columns].sum()
    others = []
    for row, column in zip(rows, columns, strict=True):
        if cost[row, column] < 1e5:
            another = cost.copy()
            another[row, column] = 1e7
            others.append(another[linear_sum_assignment(another)].sum() - least)
    return min(others, default=np.inf)
