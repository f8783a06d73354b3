"""MobileNetV3's inverted residual with groups and a gate."""

from __future__ import annotations

from torch import Tensor, nn

from litepose_nas.layers.bottleneck import lane_bn
from litepose_nas.layers.conv import conv_bn, dense
from litepose_nas.layers.entry import activation
from litepose_nas.layers.gates import Gate
from litepose_nas.layers.groups import LaneConv


class InvertedResidual(nn.Module):
    """1x1 up, KxK in groups, a gate, a linear 1x1 down; the input is added where the plan says so."""

    def __init__(
        self, few: int, fine: int, split: int, cin: int, cout: int, kernel: int, stride: int, residual: bool,
        expands: bool, smooth: bool, hidden: int,
    ):  # fmt: skip
        super().__init__()
        mid = few * fine
        if expands:
            self.expand = conv_bn(dense(cin, mid), mid, activation(smooth))
        self.spatial = lane_bn(LaneConv(few, fine, split, 1, 1, 1, kernel, stride), nn.BatchNorm2d(mid))
        self.act = activation(smooth)
        if hidden:
            self.gate = Gate(mid, hidden)
        self.project = conv_bn(dense(mid, cout), cout)
        self.expands, self.gated, self.residual = expands, bool(hidden), residual

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature."""
        y = self.act(self.spatial(self.expand(x) if self.expands else x))
        y = self.project(self.gate(y) if self.gated else y)
        return x + y if self.residual else y
