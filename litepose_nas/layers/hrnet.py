"""Layers of HRNet: a plain convolution and two residual blocks."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers.conv import conv_bn, dense


class Conv3x3(nn.Module):
    """A 3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        self.mix = conv_bn(dense(cin, cout, 3, stride), cout, nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature."""
        return self.mix(x)


class Basic(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    def __init__(self, width: int):
        super().__init__()
        self.first = conv_bn(dense(width, width, 3), width, nn.ReLU(inplace=True))
        self.second = conv_bn(dense(width, width, 3), width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature, as large as the old."""
        return F.relu(self.second(self.first(x)) + x)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 beside an identity or a 1x1."""

    def __init__(self, cin: int, mid: int, cout: int, projected: bool):
        super().__init__()
        self.reduce = conv_bn(dense(cin, mid), mid, nn.ReLU(inplace=True))
        self.mix = conv_bn(dense(mid, mid, 3), mid, nn.ReLU(inplace=True))
        self.expand = conv_bn(dense(mid, cout), cout)
        self.project = conv_bn(dense(cin, cout), cout) if projected else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature."""
        return F.relu(self.expand(self.mix(self.reduce(x))) + self.project(x))
