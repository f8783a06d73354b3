"""Blocks of a plain heatmap head: a deconv that doubles the size, and the 1x1 convolution that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks.ops import Op, conv, deconv

if TYPE_CHECKING:
    from torch import nn


class Deconv(NamedTuple):
    """A deconv of stride 2 with an even kernel, normalised and activated."""

    cin: int
    cout: int
    kernel: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the deconv, which is counted on its input grid."""
        return [deconv(h, w, self.cin, self.cout, self.kernel, norm=True, act=True, inputs=(0,))]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, twice the input."""
        return self.cout, 2 * h, 2 * w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import deconv as layers

        return layers.Deconv(*self)


class Answer(NamedTuple):
    """A 1x1 convolution with a bias and nothing behind it."""

    cin: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the convolution."""
        return [conv(h, w, self.cin, self.cout, 1, norm=False, act=False, bias=True, inputs=(0,))]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, that of the input."""
        return self.cout, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import deconv as layers

        return layers.Answer(*self)
