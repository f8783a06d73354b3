"""Merging a feature of a side branch into the main one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from litepose_nas.blocks.conv_torch import conv_bn, dense

if TYPE_CHECKING:
    from litepose_nas.families.hrnet_davit.merge import AddMerge, GateMerge


class AddMergeModule(nn.Module):
    def __init__(self, block: AddMerge):
        super().__init__()
        self.project = conv_bn(dense(block.side, block.width), block.width)

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        return x + self.project(side)


class GateMergeModule(nn.Module):
    def __init__(self, block: GateMerge):
        super().__init__()
        width, side = block
        self.project = conv_bn(dense(side, width), width)
        self.mine, self.theirs = dense(width, width), nn.Conv2d(side, width, 1)

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        return x + torch.sigmoid(self.mine(x) + self.theirs(side)) * self.project(side)
