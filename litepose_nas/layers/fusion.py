"""Layers of LitePose's head."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers.conv import conv_bn, dense, depthwise


class FusionDeconv(nn.Module):
    """Two deconvs of stride 2, added, then batch normalisation and ReLU."""

    def __init__(self, refined: int, raw: int, cout: int, kernel: int):
        super().__init__()
        padding = (kernel - 2) // 2
        self.refined = nn.ConvTranspose2d(refined, cout, kernel, 2, padding, bias=False)
        self.raw = nn.ConvTranspose2d(raw, cout, kernel, 2, padding, bias=False)
        self.bn = nn.BatchNorm2d(cout)

    def forward(self, refined: Tensor, raw: Tensor) -> Tensor:
        """Return the joined feature at twice the size."""
        return F.relu(self.bn(self.refined(refined) + self.raw(raw)))


class FusionHead(nn.Module):
    """The sum of a separable convolution of the refined feature and one of the raw feature."""

    def __init__(self, refined: int, raw: int, cout: int, kernel: int):
        super().__init__()
        self.refined = _separable(refined, cout, kernel)
        self.raw = _separable(raw, cout, kernel)

    def forward(self, refined: Tensor, raw: Tensor) -> Tensor:
        """Return the output maps."""
        return self.refined(refined) + self.raw(raw)


def _separable(cin: int, cout: int, kernel: int) -> nn.Sequential:
    dw = conv_bn(depthwise(cin, kernel), cin, nn.ReLU(inplace=True))
    return nn.Sequential(OrderedDict(dw=dw, project=dense(cin, cout)))
