"""A convolution of two joined features."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape
from litepose_nas.blocks.graph import RELU, Feature, Graph
from litepose_nas.blocks.ops import Op, conv


class ConcatConv(NamedTuple):
    """A convolution after a concatenation, normalised and mostly activated: each part has its own band of the weight.

    One weight for both would shift the second part's band whenever the first part's width changes.
    """

    first: int
    second: int
    cout: int
    kernel: int
    act: bool = True

    def ops(self, h: int, w: int) -> list[Op]:
        """One convolution for each band; the normalisation belongs to their sum."""
        return [
            conv(h, w, self.first, self.cout, self.kernel, norm=False, act=False, inputs=(0, 1)),
            conv(h, w, self.second, self.cout, self.kernel, act=self.act, held=h * w * self.cout, inputs=(1,)),
        ]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, h, w

    def emit(self, graph: Graph, first: Feature, second: Feature) -> Feature:
        bands = graph.conv(first, "first", self.cout, self.kernel), graph.conv(second, "second", self.cout, self.kernel)
        return graph.batch_norm(graph.add(bands[0], bands[1]), "bn", RELU if self.act else "")

    def build(self) -> Module:
        from litepose_nas.blocks.concat_torch import ConcatConvModule

        return ConcatConvModule(self)
