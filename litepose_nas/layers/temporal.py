"""Joining a feature of this frame with the heatmaps of the frame before."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers.concat import ConcatConv
from litepose_nas.layers.conv import conv_bn, dense


class Lift(nn.Module):
    """Heatmaps resized to a feature's size and convolved to its width."""

    def __init__(self, joints: int, width: int, through: bool):
        super().__init__()
        self.joints, self.through = joints, through
        self.conv = conv_bn(dense(joints, width), width, nn.ReLU(inplace=True))

    def forward(self, feature: Tensor, heatmaps: Tensor | None) -> Tensor:
        """Return what can be joined with the feature; no heatmaps are heatmaps of zeros."""
        if heatmaps is None:
            heatmaps = feature.new_zeros(len(feature), self.joints, 1, 1)
        elif not self.through:
            heatmaps = heatmaps.detach()
        return self.conv(F.interpolate(heatmaps, feature.shape[-2:], mode="bilinear", align_corners=False))


class AddHeatmaps(nn.Module):
    """The feature plus what a convolution makes of the heatmaps, mixed by another."""

    def __init__(self, joints: int, width: int, through: bool = True):
        super().__init__()
        self.lift = Lift(joints, width, through)
        self.mix = conv_bn(dense(width, width), width, nn.ReLU(inplace=True))

    def forward(self, feature: Tensor, heatmaps: Tensor | None) -> Tensor:
        """Return the joined feature."""
        return self.mix(feature + self.lift(feature, heatmaps))


class MultiplyHeatmaps(AddHeatmaps):
    """The same with a product in place of the sum."""

    def forward(self, feature: Tensor, heatmaps: Tensor | None) -> Tensor:
        """Return the joined feature."""
        return self.mix(feature * self.lift(feature, heatmaps))


class ConcatHeatmaps(nn.Module):
    """The feature beside what a convolution makes of the heatmaps, mixed by another."""

    def __init__(self, joints: int, width: int, through: bool = True):
        super().__init__()
        self.lift = Lift(joints, width, through)
        self.mix = ConcatConv(width, width, width, 1)

    def forward(self, feature: Tensor, heatmaps: Tensor | None) -> Tensor:
        """Return the joined feature."""
        return self.mix(feature, self.lift(feature, heatmaps))
