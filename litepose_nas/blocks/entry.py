"""Blocks at the entrance of a backbone: one convolution of stride 2, and a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks import ceil_div
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow

if TYPE_CHECKING:
    from torch import nn


class Entry(NamedTuple):
    """A convolution of stride 2 of the picture, normalised and activated."""

    cout: int
    kernel: int
    smooth: bool  # h-swish; otherwise ReLU

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the convolution."""
        return [conv(h, w, 3, self.cout, self.kernel, 2, inputs=(0,))]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, half the input."""
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import entry as layers

        return layers.Entry(*self)


class MaxPool(NamedTuple):
    """The largest value of every 3x3, with stride 2."""

    channels: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return no operation that computes."""
        channels, h2, w2 = self.out(h, w)
        return flow([Step("pooled", channels * h2 * w2, COPY, (0,))])

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, half the input."""
        return self.channels, ceil_div(h, 2), ceil_div(w, 2)

    def build(self) -> nn.Module:
        """Return the module."""
        from torch import nn

        return nn.MaxPool2d(3, 2, 1)
