"""Deconvs, and the convolutions whose output is the heatmaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import conv_bn
from litepose_nas.blocks.groups_torch import LaneDeconv, LaneNorm

if TYPE_CHECKING:
    from litepose_nas.blocks.deconv import Deconv, GroupDeconv, HeatmapConv


class DeconvModule(nn.Module):
    """A deconv of stride 2, batch normalisation and ReLU."""

    def __init__(self, block: Deconv):
        super().__init__()
        padding = (block.kernel - 2) // 2
        deconv = nn.ConvTranspose2d(block.cin, block.cout, block.kernel, 2, padding, bias=False)
        self.up = conv_bn(deconv, block.cout, nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x)


class HeatmapConvModule(nn.Module):
    """A 1x1 convolution with a bias."""

    def __init__(self, block: HeatmapConv):
        super().__init__()
        self.conv = nn.Conv2d(block.cin, block.cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class GroupDeconvModule(nn.Module):
    """A grouped deconv of stride 2, batch normalisation and ReLU."""

    def __init__(self, block: GroupDeconv):
        super().__init__()
        self.lanes, self.deals = block.grouping.lanes, block.plain
        self.conv = LaneDeconv(block.grouping, block.cin, block.cout, block.kernel)
        self.bn = LaneNorm(self.lanes, block.cout)

    def forward(self, x: Tensor) -> Tensor:
        if self.deals:  # dealt in turn, for the first channels are then dealt alike whatever their number
            x = x.unflatten(1, (-1, self.lanes)).transpose(1, 2)
            x = x.clone(memory_format=torch.contiguous_format).flatten(1, 2)
        return F.relu(self.bn(self.conv(x)))
