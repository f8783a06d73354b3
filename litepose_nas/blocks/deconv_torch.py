"""Deconvs, and the convolutions whose output is the heatmaps."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import conv_bn
from litepose_nas.blocks.groups_torch import LaneDeconv, LaneNorm

if TYPE_CHECKING:
    from litepose_nas.blocks.deconv import Deconv, GroupDeconv, HeatmapConv


class DeconvModule(nn.Sequential):
    def __init__(self, block: Deconv):
        padding = (block.kernel - 2) // 2
        deconv = nn.ConvTranspose2d(block.cin, block.cout, block.kernel, 2, padding, bias=False)
        super().__init__(OrderedDict(up=conv_bn(deconv, block.cout, nn.ReLU(inplace=True))))


class HeatmapConvModule(nn.Sequential):
    def __init__(self, block: HeatmapConv):
        super().__init__(OrderedDict(conv=nn.Conv2d(block.cin, block.cout, 1)))


class GroupDeconvModule(nn.Module):
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
