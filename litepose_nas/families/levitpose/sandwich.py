"""Blocks between the attentions of EfficientViT (2023): depthwise and feed-forward nets, and ways to downsample."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow


class DepthwiseFFN(NamedTuple):
    """A 3x3 depthwise convolution, then a feed-forward net, each added to what came in."""

    dim: int
    hidden: int

    def ops(self, h: int, w: int) -> list[Op]:
        size = self.dim * h * w
        return flow(
            [
                Step("dw", size, conv(h, w, self.dim, self.dim, 3, groups=self.dim, act=False), (0,)),
                Step("over", 0, COPY, (0, "dw")),
                Step("hidden", self.hidden * h * w, conv(h, w, self.dim, self.hidden, 1), ("dw",)),
                Step("result", size, conv(h, w, self.hidden, self.dim, 1, act=False), ("hidden",)),
                Step("over again", 0, COPY, ("dw", "result")),
            ]
        )

    def out(self, h: int, w: int) -> Shape:
        return self.dim, h, w

    def build(self) -> Module:
        from litepose_nas.families.levitpose.sandwich_torch import DepthwiseFFNModule

        return DepthwiseFFNModule(self)


class ConvDownsample(NamedTuple):
    """A 3x3 convolution of stride 2."""

    cin: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        return [conv(h, w, self.cin, self.cout, 3, 2, act=False, inputs=(0,))]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def build(self) -> Module:
        from litepose_nas.families.levitpose.sandwich_torch import ConvDownsampleModule

        return ConvDownsampleModule(self)


class DepthwiseDownsample(NamedTuple):
    """A 3x3 depthwise convolution of stride 2 and a 1x1 one."""

    cin: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        h2, w2 = ceil_div(h, 2), ceil_div(w, 2)
        return [
            conv(h, w, self.cin, self.cin, 3, 2, self.cin, act=False, inputs=(0,)),
            conv(h2, w2, self.cin, self.cout, 1, act=False, held=self.cin * h2 * w2),
        ]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def build(self) -> Module:
        from litepose_nas.families.levitpose.sandwich_torch import DepthwiseDownsampleModule

        return DepthwiseDownsampleModule(self)


class MergeDownsample(NamedTuple):
    """EfficientViT's: 1x1 up, 3x3 depthwise of stride 2, squeeze and excitation, 1x1 down."""

    cin: int
    mid: int
    squeezed: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        """The convolutions of the excitation see one position."""
        h2, w2 = ceil_div(h, 2), ceil_div(w, 2)
        squeeze = conv(1, 1, self.mid, self.squeezed, 1, norm=False, bias=True)
        excite = conv(1, 1, self.squeezed, self.mid, 1, norm=False, act=False, bias=True)
        return flow(
            [
                Step("up", self.mid * h * w, conv(h, w, self.cin, self.mid, 1), (0,)),
                Step("dw", self.mid * h2 * w2, conv(h, w, self.mid, self.mid, 3, 2, self.mid), ("up",)),
                Step("mean", self.mid, COPY, ("dw",)),
                Step("squeezed", self.squeezed, squeeze, ("mean",)),
                Step("gate", self.mid, excite, ("squeezed",)),
                Step("sigmoid", self.mid, COPY, ("gate",)),
                Step("gated", self.mid * h2 * w2, COPY, ("dw", "sigmoid")),
                Step("down", self.cout * h2 * w2, conv(h2, w2, self.mid, self.cout, 1, act=False), ("gated",)),
            ]
        )

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def build(self) -> Module:
        from litepose_nas.families.levitpose.sandwich_torch import MergeDownsampleModule

        return MergeDownsampleModule(self)
