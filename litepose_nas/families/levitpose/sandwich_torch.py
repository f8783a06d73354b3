"""What stands between the attentions of EfficientViT."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import Tensor, nn

from litepose_nas.blocks.conv_torch import conv_bn, dense, depthwise

if TYPE_CHECKING:
    from litepose_nas.families.levitpose.sandwich import (
        ConvDownsample,
        DepthwiseDownsample,
        DepthwiseFFN,
        MergeDownsample,
    )


class DepthwiseFFNModule(nn.Module):
    def __init__(self, block: DepthwiseFFN):
        super().__init__()
        dim, hidden = block
        self.dw = conv_bn(depthwise(dim, 3), dim)
        self.up = conv_bn(dense(dim, hidden), hidden, nn.ReLU(inplace=True))
        self.down = conv_bn(dense(hidden, dim), dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dw(x)
        return x + self.down(self.up(x))


class ConvDownsampleModule(nn.Sequential):
    def __init__(self, block: ConvDownsample):
        super().__init__(OrderedDict(project=conv_bn(dense(block.cin, block.cout, 3, 2), block.cout)))


class DepthwiseDownsampleModule(nn.Sequential):
    def __init__(self, block: DepthwiseDownsample):
        cin, cout = block
        dw = conv_bn(depthwise(cin, 3, 2), cin)
        super().__init__(OrderedDict(dw=dw, project=conv_bn(dense(cin, cout), cout)))


class MergeDownsampleModule(nn.Module):
    def __init__(self, block: MergeDownsample):
        super().__init__()
        cin, mid, squeezed, cout = block
        self.up = conv_bn(dense(cin, mid), mid, nn.ReLU(inplace=True))
        self.dw = conv_bn(depthwise(mid, 3, 2), mid, nn.ReLU(inplace=True))
        self.squeeze, self.excite = nn.Conv2d(mid, squeezed, 1), nn.Conv2d(squeezed, mid, 1)
        self.down = conv_bn(dense(mid, cout), cout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dw(self.up(x))
        gate = self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.down(x * gate)
