"""Joining a feature of this frame with the heatmaps of the frame before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.concat import ConcatConv
from litepose_nas.blocks.concat_torch import ConcatConvModule
from litepose_nas.blocks.conv_torch import conv_bn, dense

if TYPE_CHECKING:
    from litepose_nas.blocks.temporal import TemporalFuse


class Lift(nn.Module):
    """Heatmaps resized to a feature's size and convolved to its width."""

    def __init__(self, block: TemporalFuse):
        super().__init__()
        self.joints, self.through = block.joints, block.through
        self.conv = conv_bn(dense(block.joints, block.width), block.width, nn.ReLU(inplace=True))

    def forward(self, feature: Tensor, heatmaps: Tensor | None) -> Tensor:
        """What can be joined with the feature; no heatmaps are heatmaps of zeros."""
        if heatmaps is None:
            heatmaps = feature.new_zeros(len(feature), self.joints, 1, 1)
        elif not self.through:
            heatmaps = heatmaps.detach()
        return self.conv(F.interpolate(heatmaps, feature.shape[-2:], mode="bilinear", align_corners=False))


class AddHeatmaps(nn.Module):
    """The feature plus what a convolution makes of the heatmaps, mixed by another."""

    def __init__(self, block: TemporalFuse):
        super().__init__()
        self.lift = Lift(block)
        self.mix = conv_bn(dense(block.width, block.width), block.width, nn.ReLU(inplace=True))

    def forward(self, feature: Tensor, heatmaps: Tensor | None) -> Tensor:
        return self.mix(feature + self.lift(feature, heatmaps))


class MultiplyHeatmaps(AddHeatmaps):
    """The same with a product in place of the sum."""

    def forward(self, feature: Tensor, heatmaps: Tensor | None) -> Tensor:
        return self.mix(feature * self.lift(feature, heatmaps))


class ConcatHeatmaps(nn.Module):
    """The feature beside what a convolution makes of the heatmaps, mixed by another."""

    def __init__(self, block: TemporalFuse):
        super().__init__()
        self.lift = Lift(block)
        self.mix = ConcatConvModule(ConcatConv(block.width, block.width, block.width, 1))

    def forward(self, feature: Tensor, heatmaps: Tensor | None) -> Tensor:
        return self.mix(feature, self.lift(feature, heatmaps))
