"""How networks begin: convolutions of stride 2, and a pool."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.graph import HSWISH, RELU, Feature, Graph
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow


class Stem(NamedTuple):
    """LitePose's stem: a 3x3 convolution of stride 2, a 3x3 depthwise one, a linear 1x1."""

    mid: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        h2, w2 = ceil_div(h, 2), ceil_div(w, 2)
        mid = h2 * w2 * self.mid
        return [
            conv(h, w, 3, self.mid, 3, 2, inputs=(0,)),
            conv(h2, w2, self.mid, self.mid, 3, groups=self.mid, held=mid),
            conv(h2, w2, self.mid, self.cout, 1, act=False, held=mid),
        ]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        x = graph.conv_bn(x, "conv", self.mid, 3, 2, act=RELU)
        x = graph.conv_bn(x, "dw", self.mid, 3, 1, self.mid, act=RELU)
        return graph.conv_bn(x, "project", self.cout)

    def build(self) -> Module:
        from litepose_nas.blocks.stem_torch import StemModule

        return StemModule(self)


class StemConv(NamedTuple):
    """A convolution of stride 2 of the picture, normalised and activated."""

    cout: int
    kernel: int
    hswish: bool  # otherwise ReLU

    @property
    def activation(self) -> str:
        return HSWISH if self.hswish else RELU

    def ops(self, h: int, w: int) -> list[Op]:
        return [conv(h, w, 3, self.cout, self.kernel, 2, activation=self.activation, inputs=(0,))]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.conv_bn(x, "conv", self.cout, self.kernel, 2, act=self.activation)

    def build(self) -> Module:
        from litepose_nas.blocks.stem_torch import StemConvModule

        return StemConvModule(self)


class MaxPool(NamedTuple):
    """The largest value of every 3x3, with stride 2."""

    channels: int

    def ops(self, h: int, w: int) -> list[Op]:
        channels, h2, w2 = self.out(h, w)
        return flow([Step("pooled", channels * h2 * w2, COPY, (0,))])

    def out(self, h: int, w: int) -> Shape:
        return self.channels, ceil_div(h, 2), ceil_div(w, 2)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.max_pool(x)

    def build(self) -> Module:
        from torch import nn

        return nn.MaxPool2d(3, 2, 1)
