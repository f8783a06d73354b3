"""ResNet's bottleneck with lanes inside and a global context at its end."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import conv_bn, dense
from litepose_nas.blocks.gates_torch import Context
from litepose_nas.blocks.groups_torch import GroupConv, LaneNorm, LanePointwise

if TYPE_CHECKING:
    from litepose_nas.blocks.bottleneck import GroupedBottleneck


class GroupedBottleneckModule(nn.Module):
    def __init__(self, block: GroupedBottleneck):
        super().__init__()
        lanes, cin, mid, cout = block.grouping.lanes, block.cin, block.mid, block.cout
        self.reduce = nn.Sequential(OrderedDict(conv=LanePointwise((lanes, mid), (cin,)), bn=LaneNorm(lanes, mid)))
        self.spatial = GroupConv(block.grouping, mid, mid, block.kernel, block.stride)
        self.restore = conv_bn(LanePointwise((cout,), (lanes, mid)), cout)
        if block.hidden:
            self.context = Context(cout, block.hidden)
        if block.project:
            self.project = conv_bn(dense(cin, cout, 1, block.stride), cout)
        self.attends, self.projects = bool(block.hidden), block.project

    def forward(self, x: Tensor) -> Tensor:
        y = self.restore(self.spatial(F.relu(self.reduce(x))))
        if self.attends:
            y = self.context(y)
        return F.relu(y + (self.project(x) if self.projects else x))
