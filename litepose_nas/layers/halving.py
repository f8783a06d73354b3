"""Layers between the attentions of EfficientViT."""

from __future__ import annotations

from torch import Tensor, nn

from litepose_nas.layers.conv import conv_bn, dense, depthwise


class Feed(nn.Module):
    """A depthwise convolution and a feed-forward net, each added to what came in."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.dw = conv_bn(depthwise(dim, 3), dim)
        self.up = conv_bn(dense(dim, hidden), hidden, nn.ReLU(inplace=True))
        self.down = conv_bn(dense(hidden, dim), dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature."""
        x = x + self.dw(x)
        return x + self.down(self.up(x))


class ConvHalving(nn.Module):
    """A 3x3 convolution of stride 2."""

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.project = conv_bn(dense(cin, cout, 3, 2), cout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature at half the size."""
        return self.project(x)


class DepthwiseHalving(nn.Module):
    """A 3x3 depthwise convolution of stride 2 and a 1x1 one."""

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.dw = conv_bn(depthwise(cin, 3, 2), cin)
        self.project = conv_bn(dense(cin, cout), cout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature at half the size."""
        return self.project(self.dw(x))


class MergeHalving(nn.Module):
    """An inverted bottleneck of stride 2 with squeeze and excitation behind the depthwise convolution."""

    def __init__(self, cin: int, mid: int, squeezed: int, cout: int):
        super().__init__()
        self.up = conv_bn(dense(cin, mid), mid, nn.ReLU(inplace=True))
        self.dw = conv_bn(depthwise(mid, 3, 2), mid, nn.ReLU(inplace=True))
        self.squeeze, self.excite = nn.Conv2d(mid, squeezed, 1), nn.Conv2d(squeezed, mid, 1)
        self.down = conv_bn(dense(mid, cout), cout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature at half the size."""
        x = self.dw(self.up(x))
        gate = self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.down(x * gate)
