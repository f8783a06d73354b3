"""The part of the bottom-up decode that stands in an exported file: outputs fused, the best peaks with place and tag.

Shapes are fixed and operations those that runtimes are fast at; who belongs to whom is left to standalone/.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose_nas.data.augment import Size
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.bottomup_decode import position_cue, resize


class WithPeaks(nn.Module):
    """A bottom-up network that answers with the best K peaks of each joint, the best first.

    They are (N, J, K, 4): x, y in pixels of its input, value, tag; zeros where no more are above zero. With `maps` come
    the fused heatmaps and the tags, both (N, J, H, W).
    """

    def __init__(self, net: nn.Module, task: BottomUp, size: Size, maps: bool = False):
        super().__init__()
        self.net, self.task, self.size, self.maps = net, task, size, maps

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        coarse, *finer = self.net(*inputs)
        joints = self.task.joints
        tags = coarse[:, joints:]
        if any(self.task.tag_cue):
            tags = tags + position_cue(self.task.tag_cue, tags.shape[2], tags.shape[3], tags)
        total, count = added(coarse[:, :joints], finer), 1 + len(finer)
        height, width = total.shape[2:]
        value, pixel = best_maxima(total, self.task.grouping.max_people, self.task.grouping.nms_kernel)
        place = places(pixel, width)
        if self.maps:
            tags = resized(tags, (height, width))
            tag = tags.flatten(2).gather(2, pixel)
        else:
            tag = interpolated(tags, place, (height, width))
        place = (place + quarter(total, pixel, place) + 0.5) * both(place, self.size[1] / width, self.size[0] / height)
        # What is no peak is nothing: a place among equal zeros would be another in each runtime.
        peaks = torch.cat([place, (value / count)[:, :, None], tag[:, :, None]], 2) * (value > 0)[:, :, None]
        peaks = peaks.transpose(2, 3)
        return (peaks, total / count, tags) if self.maps else (peaks,)


def added(coarse: Tensor, finer: Sequence[Tensor]) -> Tensor:
    """The heatmaps of all outputs, added at the size of the last."""
    maps = [coarse, *finer]
    size = (maps[-1].shape[2], maps[-1].shape[3])
    first, *others = (resized(each, size) for each in maps)
    return sum(others, first)


def resized(maps: Tensor, size: Size) -> Tensor:
    return maps if tuple(maps.shape[2:]) == size else resize(maps, size)


def best_maxima(maps: Tensor, most: int, kernel: int) -> tuple[Tensor, Tensor]:
    """Value and pixel, both (N, J, K), of the largest maxima of each map; what is not above zero is no maximum."""
    # A square window is a column of rows: two narrow poolings are faster than a wide one, and the same to the bit.
    pooled = F.max_pool2d(maps, (1, kernel), 1, (0, kernel // 2))
    pooled = F.max_pool2d(pooled, (kernel, 1), 1, (kernel // 2, 0))
    peaks = (maps * (maps == pooled)).flatten(2)
    return peaks.topk(min(most, peaks.shape[2]), dim=2)


# Both axes in one tensor, and all neighbours in one gather: of small tensors the number of operations is the time.


def both(like: Tensor, x: float, y: float) -> Tensor:
    """(2, 1): a number for each axis."""
    return like.new_tensor([[x], [y]])


def places(pixel: Tensor, width: int) -> Tensor:
    """(N, J, 2, K): x and y of pixels (N, J, K), as floats, which hold all whole numbers that a map can have."""
    at = pixel.float()
    y = ((at + 0.5) / width).floor()
    return torch.stack([at - y * width, y], dim=2)


def quarter(maps: Tensor, pixel: Tensor, place: Tensor) -> Tensor:
    """(N, J, 2, K): the quarter-pixel shifts toward the higher neighbour."""
    height, width = maps.shape[2:]
    step = both(place, 1, width)
    after, before = (place < both(place, width - 1, height - 1)) * step, (place > 0) * step
    index = pixel[:, :, None] + torch.cat([after, -before], 2).long()
    value = maps.flatten(2).gather(2, index.flatten(2)).unflatten(2, (4, -1))
    return (value[:, :, :2] > value[:, :, 2:]) * 0.5 - 0.25


def interpolated(maps: Tensor, place: Tensor, size: Size) -> Tensor:
    """(N, J, K): what `resize` to a size would say at places (N, J, 2, K), without resizing the whole."""
    height, width = maps.shape[2:]
    at = ((place + 0.5) * both(place, width / size[1], height / size[0]) - 0.5).clamp(min=0)
    low = at.floor()
    high = torch.minimum(low + 1, both(place, width - 1, height - 1))
    (left, above), (right, below) = ((each * both(place, 1, width)).unbind(2) for each in (low, high))
    index = torch.cat([above + left, above + right, below + left, below + right], 2).long()
    value = maps.flatten(2).gather(2, index).unflatten(2, (2, 2, -1))  # (N, J, down, across, K)
    across, down = (at - low).unbind(2)
    value = value[:, :, 0] + (value[:, :, 1] - value[:, :, 0]) * down[:, :, None]
    return value[:, :, 0] + (value[:, :, 1] - value[:, :, 0]) * across
