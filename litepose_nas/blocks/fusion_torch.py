"""LitePose's head."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import conv_bn, dense
from litepose_nas.blocks.depthwise_torch import DepthwiseConv

if TYPE_CHECKING:
    from litepose_nas.blocks.fusion import FusionDeconv, FusionHead


class FusionDeconvModule(nn.Module):
    def __init__(self, block: FusionDeconv):
        super().__init__()
        padding = (block.kernel - 2) // 2
        self.refined = nn.ConvTranspose2d(block.refined, block.cout, block.kernel, 2, padding, bias=False)
        self.raw = nn.ConvTranspose2d(block.raw, block.cout, block.kernel, 2, padding, bias=False)
        self.bn = nn.BatchNorm2d(block.cout)

    def forward(self, refined: Tensor, raw: Tensor) -> Tensor:
        return F.relu(self.bn(self.refined(refined) + self.raw(raw)))


class FusionHeadModule(nn.Module):
    def __init__(self, block: FusionHead):
        super().__init__()
        self.refined = _separable(block.refined, block.cout, block.kernel)
        self.raw = _separable(block.raw, block.cout, block.kernel)

    def forward(self, refined: Tensor, raw: Tensor) -> Tensor:
        return self.refined(refined) + self.raw(raw)


def _separable(cin: int, cout: int, kernel: int) -> nn.Sequential:
    dw = conv_bn(DepthwiseConv(cin, kernel), cin, nn.ReLU(inplace=True))
    return nn.Sequential(OrderedDict(dw=dw, project=dense(cin, cout)))
