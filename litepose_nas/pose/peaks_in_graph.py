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
        heatmaps = fused(coarse[:, :joints], finer)
        value, pixel = best_maxima(heatmaps, self.task.grouping.max_people, self.task.grouping.nms_kernel)
        height, width = heatmaps.shape[2:]
        x, y = pixel % width, pixel // width
        dx, dy = quarter(heatmaps, x, y)
        across, down = self.size[1] / width, self.size[0] / height
        if self.maps:
            tags = resized(tags, (height, width))
            tag = tags.flatten(2).gather(2, pixel)
        else:
            tag = interpolated(tags, x, y, (height, width))
        peaks = torch.stack([(x + dx + 0.5) * across, (y + dy + 0.5) * down, value, tag], dim=3)
        peaks = peaks * (value > 0)[..., None]
        return (peaks, heatmaps, tags) if self.maps else (peaks,)


def fused(coarse: Tensor, finer: Sequence[Tensor]) -> Tensor:
    """The heatmaps of all outputs, averaged at the size of the last."""
    maps = [coarse, *finer]
    size = (maps[-1].shape[2], maps[-1].shape[3])
    first, *others = (resized(each, size) for each in maps)
    return sum(others, first) / len(maps)


def resized(maps: Tensor, size: Size) -> Tensor:
    return maps if tuple(maps.shape[2:]) == size else resize(maps, size)


def best_maxima(heatmaps: Tensor, most: int, kernel: int) -> tuple[Tensor, Tensor]:
    """Value and pixel, both (N, J, K), of the largest maxima of each map; zero where there are no more above zero."""
    # A square window is a column of rows: two narrow poolings are faster than a wide one, and the same to the bit.
    pooled = F.max_pool2d(heatmaps, (1, kernel), 1, (0, kernel // 2))
    pooled = F.max_pool2d(pooled, (kernel, 1), 1, (kernel // 2, 0))
    peaks = torch.where(heatmaps == pooled, heatmaps, 0.0).flatten(2).relu()
    return peaks.topk(min(most, peaks.shape[2]), dim=2)


def quarter(heatmaps: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The quarter-pixel shifts toward the higher neighbour of pixels (N, J, K)."""
    height, width = heatmaps.shape[2:]
    flat = heatmaps.flatten(2)

    def at(x: Tensor, y: Tensor) -> Tensor:
        return flat.gather(2, y * width + x)

    right = at((x + 1).clamp(max=width - 1), y) > at((x - 1).clamp(min=0), y)
    below = at(x, (y + 1).clamp(max=height - 1)) > at(x, (y - 1).clamp(min=0))
    return right * 0.5 - 0.25, below * 0.5 - 0.25


def interpolated(maps: Tensor, x: Tensor, y: Tensor, size: Size) -> Tensor:
    """What `resize` to a size would say at pixels (N, J, K), without resizing the whole."""
    height, width = maps.shape[2:]
    if (height, width) == size:
        return maps.flatten(2).gather(2, y * width + x)
    flat = maps.flatten(2)

    def corners(place: Tensor, length: int, wanted: int) -> tuple[Tensor, Tensor, Tensor]:
        at = ((place + 0.5) * (length / wanted) - 0.5).clamp(min=0.0)
        low = at.floor()
        return low.long(), (low.long() + 1).clamp(max=length - 1), at - low

    left, right, across = corners(x, width, size[1])
    above, under, down = corners(y, height, size[0])

    def row(y: Tensor) -> Tensor:
        return flat.gather(2, y * width + left) * (1 - across) + flat.gather(2, y * width + right) * across

    return row(above) * (1 - down) + row(under) * down
