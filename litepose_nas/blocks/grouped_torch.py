"""Blocks with elastic groups as ViPNAS has them, and the small attention inside: a global context, or a gate.

What is a 1x1 convolution of a single position in the papers is a linear map in both: torch tells the memory layouts of
1x1 weights apart by strides that mean nothing, and a window would compute other last bits than its copy.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import conv_bn, dense
from litepose_nas.blocks.groups_torch import LaneConv, LaneNorm, LanePointwise
from litepose_nas.blocks.stem_torch import activation

if TYPE_CHECKING:
    from litepose_nas.blocks.grouped import GroupedBottleneck, GroupedInvertedResidual


class GroupedBottleneckModule(nn.Module):
    def __init__(self, block: GroupedBottleneck):
        super().__init__()
        lanes, cin, mid, cout = block.grouping.lanes, block.cin, block.mid, block.cout
        self.reduce = nn.Sequential(OrderedDict(conv=LanePointwise((lanes, mid), (cin,)), bn=LaneNorm(lanes, mid)))
        spatial = LaneConv(block.grouping, mid, mid, block.kernel, block.stride)
        self.spatial = nn.Sequential(OrderedDict(conv=spatial, bn=LaneNorm(lanes, mid)))
        self.restore = conv_bn(LanePointwise((cout,), (lanes, mid)), cout)
        if block.hidden:
            self.context = Context(cout, block.hidden)
        if block.project:
            self.project = conv_bn(dense(cin, cout, 1, block.stride), cout)
        self.attends, self.projects = bool(block.hidden), block.project

    def forward(self, x: Tensor) -> Tensor:
        y = self.restore(F.relu(self.spatial(F.relu(self.reduce(x)))))
        if self.attends:
            y = self.context(y)
        return F.relu(y + (self.project(x) if self.projects else x))


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


class Context(nn.Module):
    """A weighted mean over all positions, passed through two 1x1 convolutions and added everywhere (GCNet, 2019)."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.mask = nn.Conv2d(channels, 1, 1)
        self.down, self.norm = nn.Linear(channels, hidden), nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, channels)
        nn.init.uniform_(self.up.weight, -1e-3, 1e-3)  # nearly nothing is added at first

    def forward(self, x: Tensor) -> Tensor:
        weights = self.mask(x).flatten(2).softmax(2).unflatten(2, x.shape[2:])
        # A product and a sum in place of a product of matrices: exact counts tell the two apart.
        found = self.norm(self.down((x * weights).sum((2, 3))))
        return x + self.up(F.relu(found))[:, :, None, None]


class Gate(nn.Module):
    """Every channel times a number between 0 and 1 that follows from all channels' means (SENet, 2018)."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.down, self.up = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        found = self.up(F.relu(self.down(x.mean((2, 3)))))
        # ViPNAS's own hard sigmoid; MobileNetV3's is x / 6 + 1 / 2.
        return x * F.hardtanh(0.5 * found + 0.5, 0.0, 1.0)[:, :, None, None]
