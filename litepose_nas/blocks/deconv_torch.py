"""Deconvs, and the convolutions whose output is the heatmaps."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import conv_bn, dense, lying_as, spread
from litepose_nas.blocks.groups_torch import LaneDeconv, LaneNorm

if TYPE_CHECKING:
    from litepose_nas.blocks.deconv import Deconv, GroupDeconv, HeatmapConv, InterleavedDeconv, LightDeconv


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


class InterleavedDeconvModule(nn.Module):
    """A deconv of stride 2 in interleaved groups, then batch normalisation and ReLU.

    Interleaved (channel c in group c % groups), because then the first channels of a wide network are grouped as a
    narrow network groups them.
    """

    def __init__(self, block: InterleavedDeconv):
        super().__init__()
        cin, cout, kernel, groups = block
        self.cin, self.cout, self.groups = cin, cout, groups
        # The groups stand last, where `diagonal` puts them. The first axis is there because torch takes four or five
        # for those of a picture, and would change their order in memory.
        self.weight = nn.Parameter(torch.empty(1, cout // groups, cin // groups, kernel, kernel, groups))
        self.bn = nn.BatchNorm2d(cout)
        spread(self.weight, (8 * groups / (cin * kernel * kernel)) ** 0.5)  # a pixel sees a quarter of it

    def window(self, key: str, big: Tensor) -> Tensor:
        """Where the weight lives in a store of one group: the blocks on its diagonal, after interleaving."""
        kernel = self.weight.shape[3]
        rim = (big.shape[3] - kernel) // 2
        big = big[:, : self.cout, : self.cin, rim : rim + kernel, rim : rim + kernel, 0]
        return big.unflatten(2, (-1, self.groups)).unflatten(1, (-1, self.groups)).diagonal(dim1=2, dim2=4)

    def graph_weights(self) -> dict[str, Tensor]:
        return {"weight": self.weight[0].permute(4, 1, 0, 2, 3).flatten(0, 1)}

    def forward(self, x: Tensor) -> Tensor:
        groups, weight = self.groups, self.graph_weights()["weight"]
        padding = (self.weight.shape[3] - 2) // 2
        grouped = x.unflatten(1, (-1, groups)).transpose(1, 2).flatten(1, 2)
        y = F.conv_transpose2d(grouped, weight, None, 2, padding, 0, groups)
        return F.relu(self.bn(lying_as(x, y.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2))))


class LightDeconvModule(nn.Sequential):
    def __init__(self, block: LightDeconv):
        lift = conv_bn(dense(block.cin, block.cout), block.cout, nn.ReLU(inplace=True))
        super().__init__(OrderedDict(lift=lift, up=InterleavedDeconvModule(block.deconv)))
