"""Layers of a plain heatmap head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers.conv import conv_bn
from litepose_nas.layers.groups import LaneDeconv, LaneNorm


class Deconv(nn.Module):
    """A deconv of stride 2, batch normalisation and ReLU."""

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

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output maps."""
        return self.conv(x)


class GroupDeconv(nn.Module):
    """A grouped deconv of stride 2, batch normalisation and ReLU."""

    def __init__(self, few: int, fine: int, split: int, inner: int, cin: int, cout: int, kernel: int, plain: bool):
        super().__init__()
        self.lanes, self.deals = few * fine, plain
        self.conv, self.bn = LaneDeconv(few, fine, split, inner, cin, cout, kernel), LaneNorm(self.lanes, cout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature at twice the size."""
        if self.deals:  # dealt in turn, for the first channels are then dealt alike whatever their number
            x = x.unflatten(1, (-1, self.lanes)).transpose(1, 2)
            x = x.clone(memory_format=torch.contiguous_format).flatten(1, 2)
        return F.relu(self.bn(self.conv(x)))
