"""Blocks of plain convolutions: the stem and the inverted bottleneck."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks import ceil_div
from litepose_nas.blocks.ops import Op, conv

if TYPE_CHECKING:
    from torch import nn


class Stem(NamedTuple):
    """LitePose's stem: a 3x3 convolution of stride 2, a 3x3 depthwise one, a linear 1x1."""

    mid: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the three convolutions."""
        h2, w2 = ceil_div(h, 2), ceil_div(w, 2)
        mid = h2 * w2 * self.mid
        return [
            conv(h, w, 3, self.mid, 3, 2, inputs=(0,)),
            conv(h2, w2, self.mid, self.mid, 3, groups=self.mid, held=mid),
            conv(h2, w2, self.mid, self.cout, 1, act=False, held=mid),
        ]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, half the input."""
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import conv as layers

        return layers.Stem(*self)


class MBConv(NamedTuple):
    """An inverted bottleneck: 1x1 up, depthwise, 1x1 down, with a residual where the plan says so."""

    cin: int
    mid: int
    cout: int
    kernel: int
    stride: int
    residual: bool
    mapped: bool = False  # the kernel is the middle of a larger one, passed through a learned map

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the three convolutions; the input stays in memory where it is added at the end."""
        h2, w2 = ceil_div(h, self.stride), ceil_div(w, self.stride)
        mid, mid2, kept = h * w * self.mid, h2 * w2 * self.mid, (0,) if self.residual else ()
        return [
            conv(h, w, self.cin, self.mid, 1, inputs=(0,)),
            conv(h, w, self.mid, self.mid, self.kernel, self.stride, self.mid, held=mid, inputs=kept),
            conv(h2, w2, self.mid, self.cout, 1, act=False, held=mid2, inputs=kept),
        ]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape."""
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def build(self) -> nn.Module:
        """Return the module; a mapped one carries the map of its own kernel size."""
        from litepose_nas.layers import conv as layers

        return layers.MBConv(*self[:6], maps=(self.kernel,) if self.mapped else ())

    def store(self) -> nn.Module:
        """Return the module that a supernet keeps: a mapped one has a map for every smaller kernel."""
        from litepose_nas.layers import conv as layers

        return layers.MBConv(*self[:6], maps=tuple(range(3, self.kernel, 2)) if self.mapped else ())
