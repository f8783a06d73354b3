"""ResNet's bottleneck with lanes inside and a global context at its end."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers.conv import conv_bn, dense
from litepose_nas.layers.gates import Context
from litepose_nas.layers.groups import GroupConv, LaneNorm, LanePointwise


class Bottleneck(nn.Module):
    """1x1 into lanes, KxK in groups of lanes, 1x1 out of them; the input is added, projected where shapes differ."""

    def __init__(
        self, few: int, fine: int, split: int, inner: int, cin: int, mid: int, cout: int, kernel: int, stride: int,
        project: bool, hidden: int,
    ):  # fmt: skip
        super().__init__()
        lanes = few * fine
        self.reduce = lane_bn(LanePointwise((lanes, mid), (cin,)), LaneNorm(lanes, mid))
        self.spatial = GroupConv(few, fine, split, inner, mid, mid, kernel, stride)
        self.restore = lane_bn(LanePointwise((cout,), (lanes, mid)), nn.BatchNorm2d(cout))
        if hidden:
            self.context = Context(cout, hidden)
        if project:
            self.project = conv_bn(dense(cin, cout, 1, stride), cout)
        self.attends, self.projects = bool(hidden), project

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature."""
        y = self.restore(self.spatial(F.relu(self.reduce(x))))
        if self.attends:
            y = self.context(y)
        return F.relu(y + (self.project(x) if self.projects else x))


def lane_bn(conv: nn.Module, bn: nn.Module) -> nn.Sequential:
    """Return a convolution with its normalisation, named as everywhere."""
    return nn.Sequential(OrderedDict(conv=conv, bn=bn))
