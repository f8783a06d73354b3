"""The first layer of a backbone."""

from __future__ import annotations

from torch import Tensor, nn

from litepose_nas.layers.conv import conv_bn, dense


class Entry(nn.Module):
    """A convolution of stride 2, batch normalisation and h-swish or ReLU."""

    def __init__(self, cout: int, kernel: int, smooth: bool):
        super().__init__()
        self.conv = conv_bn(dense(3, cout, kernel, 2), cout, activation(smooth))

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature at half size."""
        return self.conv(x)


def activation(smooth: bool) -> nn.Module:
    """Return h-swish or ReLU."""
    return nn.Hardswish(inplace=True) if smooth else nn.ReLU(inplace=True)
