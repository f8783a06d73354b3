"""How networks begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from litepose_nas.blocks.conv_torch import conv_bn, dense, depthwise

if TYPE_CHECKING:
    from litepose_nas.blocks.stem import Stem, StemConv


class StemModule(nn.Module):
    """LitePose's stem: 3x3 of stride 2, 3x3 depthwise, linear 1x1."""

    def __init__(self, block: Stem):
        super().__init__()
        self.conv = conv_bn(dense(3, block.mid, 3, 2), block.mid, nn.ReLU(inplace=True))
        self.dw = conv_bn(depthwise(block.mid, 3), block.mid, nn.ReLU(inplace=True))
        self.project = conv_bn(dense(block.mid, block.cout), block.cout)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.dw(self.conv(x)))


class StemConvModule(nn.Module):
    """A convolution of stride 2, batch normalisation and h-swish or ReLU."""

    def __init__(self, block: StemConv):
        super().__init__()
        self.conv = conv_bn(dense(3, block.cout, block.kernel, 2), block.cout, activation(block.hswish))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def activation(hswish: bool) -> nn.Module:
    """Return h-swish or ReLU."""
    return nn.Hardswish(inplace=True) if hswish else nn.ReLU(inplace=True)
