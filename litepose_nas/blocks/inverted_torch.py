"""MobileNetV3's inverted residual with groups and a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from litepose_nas.blocks.conv_torch import conv_bn, dense
from litepose_nas.blocks.gates_torch import Gate
from litepose_nas.blocks.groups_torch import LaneConv
from litepose_nas.blocks.stem_torch import activation

if TYPE_CHECKING:
    from litepose_nas.blocks.inverted import GroupedInvertedResidual


class GroupedInvertedResidualModule(nn.Module):
    def __init__(self, block: GroupedInvertedResidual):
        super().__init__()
        mid = block.grouping.lanes
        if block.expands:
            self.expand = conv_bn(dense(block.cin, mid), mid, activation(block.hswish))
        self.spatial = conv_bn(LaneConv(block.grouping, 1, 1, block.kernel, block.stride), mid)
        self.act = activation(block.hswish)
        if block.hidden:
            self.gate = Gate(mid, block.hidden)
        self.project = conv_bn(dense(mid, block.cout), block.cout)
        self.expands, self.gated, self.residual = block.expands, bool(block.hidden), block.residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.spatial(self.expand(x) if self.expands else x))
        y = self.project(self.gate(y) if self.gated else y)
        return x + y if self.residual else y
