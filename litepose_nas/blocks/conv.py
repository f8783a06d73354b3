"""The inverted bottleneck of plain convolutions."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.graph import RELU6, Feature, Graph
from litepose_nas.blocks.ops import Op, conv, move


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
        """The input stays in memory where it is added at the end."""
        h2, w2 = ceil_div(h, self.stride), ceil_div(w, self.stride)
        mid, mid2, kept = h * w * self.mid, h2 * w2 * self.mid, (0,) if self.residual else ()
        added = h2 * w2 * self.cout * self.residual
        depthwise = conv(h, w, self.mid, self.mid, self.kernel, self.stride, self.mid, held=mid, inputs=kept)
        return [
            conv(h, w, self.cin, self.mid, 1, activation=RELU6, inputs=(0,)),
            depthwise._replace(activation=RELU6),
            conv(h2, w2, self.mid, self.cout, 1, act=False, held=mid2, inputs=kept),
            move(2 * added, added),
        ]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        y = graph.conv_bn(x, "expand", self.mid, act=RELU6)
        y = graph.conv_bn(y, "dw", self.mid, self.kernel, self.stride, self.mid, act=RELU6)
        y = graph.conv_bn(y, "project", self.cout)
        return graph.add(x, y) if self.residual else y

    def build(self) -> Module:
        """A mapped one carries the map of its own kernel size."""
        from litepose_nas.blocks.conv_torch import MBConvModule

        return MBConvModule(self, maps=(self.kernel,) if self.mapped else ())

    def store(self) -> Module:
        """A mapped one has a map for every smaller kernel."""
        from litepose_nas.blocks.conv_torch import MBConvModule

        return MBConvModule(self, maps=range(3, self.kernel, 2) if self.mapped else ())
