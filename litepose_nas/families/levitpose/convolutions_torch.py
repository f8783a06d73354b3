"""Blocks around the attentions of EfficientViT."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from litepose_nas.blocks.conv_torch import conv_bn, dense, lying_as
from litepose_nas.blocks.depthwise_torch import DepthwiseConv

if TYPE_CHECKING:
    from litepose_nas.families.levitpose.convolutions import (
        ConvDownsample,
        ConvEmbedding,
        DepthwiseDownsample,
        DepthwiseFFN,
        LightEmbedding,
        MergeDownsample,
        PatchEmbedding,
    )


class ConvEmbeddingModule(nn.Sequential):
    def __init__(self, block: ConvEmbedding):
        widths = block.widths
        cins = (3, *widths)
        last = len(widths) - 1
        super().__init__(
            *(
                conv_bn(dense(cins[i], width, 3, 2), width, nn.ReLU(inplace=True) if i < last else None)
                for i, width in enumerate(widths)
            )
        )


class PatchEmbeddingModule(nn.Sequential):
    def __init__(self, block: PatchEmbedding):
        super().__init__(OrderedDict(project=conv_bn(dense(3, block.cout, block.kernel, 4), block.cout)))


class LightEmbeddingModule(nn.Module):
    def __init__(self, block: LightEmbedding):
        super().__init__()
        mid, half = block
        self.conv = conv_bn(dense(3, mid, 3, 2), mid, nn.ReLU(inplace=True))
        self.small, self.large = (
            nn.Sequential(conv_bn(DepthwiseConv(mid, kernel, 2), mid), conv_bn(dense(mid, half), half, nn.ReLU(True)))
            for kernel in (3, 5)
        )
        self.mix = conv_bn(dense(2 * half, 2 * half), 2 * half)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        # By turns, not one after the other: behind a join, the second's channels would move when the first shrinks.
        y = torch.stack((self.small(x), self.large(x)), 2).flatten(1, 2)
        return self.mix(lying_as(x, y))


class DepthwiseFFNModule(nn.Module):
    def __init__(self, block: DepthwiseFFN):
        super().__init__()
        dim, hidden = block
        self.dw = conv_bn(DepthwiseConv(dim, 3), dim)
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
        dw = conv_bn(DepthwiseConv(cin, 3, 2), cin)
        super().__init__(OrderedDict(dw=dw, project=conv_bn(dense(cin, cout), cout)))


class MergeDownsampleModule(nn.Module):
    def __init__(self, block: MergeDownsample):
        super().__init__()
        cin, mid, squeezed, cout = block
        self.up = conv_bn(dense(cin, mid), mid, nn.ReLU(inplace=True))
        self.dw = conv_bn(DepthwiseConv(mid, 3, 2), mid, nn.ReLU(inplace=True))
        self.squeeze, self.excite = nn.Conv2d(mid, squeezed, 1), nn.Conv2d(squeezed, mid, 1)
        self.down = conv_bn(dense(mid, cout), cout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dw(self.up(x))
        gate = self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.down(x * gate)
