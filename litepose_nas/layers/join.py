"""Layers that join a feature of a side branch with the main one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litepose_nas.layers.conv import conv_bn, dense


class AddJoin(nn.Module):
    """The main feature plus a projection of the other."""

    def __init__(self, width: int, side: int):
        super().__init__()
        self.project = conv_bn(dense(side, width), width)

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        """Return the joined feature."""
        return x + self.project(side)


class GateJoin(nn.Module):
    """The main feature plus a projection of the other that is let through in part."""

    def __init__(self, width: int, side: int):
        super().__init__()
        self.project = conv_bn(dense(side, width), width)
        self.mine, self.theirs = dense(width, width), nn.Conv2d(side, width, 1)

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        """Return the joined feature."""
        return x + torch.sigmoid(self.mine(x) + self.theirs(side)) * self.project(side)
