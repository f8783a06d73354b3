"""Layers of a plain heatmap head."""

from __future__ import annotations

from torch import Tensor, nn

from litepose_nas.layers.conv import conv_bn


class Deconv(nn.Module):
    """A deconv of stride 2, batch normalisation and ReLU."""

    axes = {"up.conv": ("in0", "out"), "up.bn": ("out",)}  # noqa: RUF012

    def __init__(self, cin: int, cout: int, kernel: int):
        super().__init__()
        padding = (kernel - 2) // 2
        deconv = nn.ConvTranspose2d(cin, cout, kernel, 2, padding, bias=False)
        self.up = conv_bn(deconv, cout, nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature at twice the size."""
        return self.up(x)


class Answer(nn.Module):
    """A 1x1 convolution with a bias."""

    axes = {"conv": (None, "in0")}  # noqa: RUF012

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output maps."""
        return self.conv(x)
