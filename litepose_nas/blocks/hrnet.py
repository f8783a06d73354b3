"""Blocks of HRNet (2019): a plain convolution, and the residual blocks of its beginning and of its branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks import ceil_div
from litepose_nas.blocks.ops import Op, Step, conv, flow

if TYPE_CHECKING:
    from torch import nn


class Conv3x3(NamedTuple):
    """A 3x3 convolution, normalised and activated."""

    cin: int
    cout: int
    stride: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the convolution."""
        return [conv(h, w, self.cin, self.cout, 3, self.stride, inputs=(0,))]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape."""
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import hrnet as layers

        return layers.Conv3x3(*self)


class Basic(NamedTuple):
    """Two 3x3 convolutions added to what came in, then ReLU."""

    width: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return both convolutions; the input stays in memory until it is added."""
        first, second = (conv(h, w, self.width, self.width, 3, inputs=(0,)) for _ in range(2))
        return [first, second._replace(live=first.live + second.live)]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, that of the input."""
        return self.width, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import hrnet as layers

        return layers.Basic(*self)


class Bottleneck(NamedTuple):
    """1x1, 3x3, 1x1, added to what came in, which a 1x1 of its own brings to a new width; then ReLU."""

    cin: int
    mid: int
    cout: int
    projected: bool

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the convolutions."""
        mid, out = self.mid * h * w, self.cout * h * w
        steps = [
            Step("reduced", mid, conv(h, w, self.cin, self.mid, 1), (0,)),
            Step("mixed", mid, conv(h, w, self.mid, self.mid, 3), ("reduced",)),
            Step("expanded", out, conv(h, w, self.mid, self.cout, 1), ("mixed",)),
        ]
        if self.projected:
            steps.append(Step("projected", out, conv(h, w, self.cin, self.cout, 1, act=False), (0,)))
        last = "projected" if self.projected else 0
        return flow([*steps, Step("over", 0, Op(0, 0), ("expanded", last))])

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape."""
        return self.cout, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import hrnet as layers

        return layers.Bottleneck(*self)
