"""Blocks of LitePose's head: deconvs that join a refined and a raw feature, and the outputs beside them."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape
from litepose_nas.blocks.graph import RELU, Feature, Graph
from litepose_nas.blocks.ops import Op, conv, deconv


class FusionDeconv(NamedTuple):
    """Two deconvs of stride 2, one on the refined path and one on the raw feature, added and normalised."""

    refined: int
    raw: int
    cout: int
    kernel: int

    def ops(self, h: int, w: int) -> list[Op]:
        """The normalisation belongs to the sum of both."""
        out = 4 * h * w * self.cout
        return [
            deconv(h, w, self.refined, self.cout, self.kernel, inputs=(0, 1)),
            deconv(h, w, self.raw, self.cout, self.kernel, norm=True, act=True, held=out, inputs=(1,)),
        ]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, 2 * h, 2 * w

    def emit(self, graph: Graph, refined: Feature, raw: Feature) -> Feature:
        one = graph.deconv(refined, "refined", self.cout, self.kernel)
        other = graph.deconv(raw, "raw", self.cout, self.kernel)
        return graph.batch_norm(graph.add(one, other), "bn", RELU)

    def build(self) -> Module:
        from litepose_nas.blocks.fusion_torch import FusionDeconvModule

        return FusionDeconvModule(self)


class FusionHead(NamedTuple):
    """One output: a separable convolution of the refined feature plus one of the raw feature."""

    refined: int
    raw: int
    cout: int
    kernel: int

    def ops(self, h: int, w: int) -> list[Op]:
        out, refined, raw = (h * w * channels for channels in (self.cout, self.refined, self.raw))
        return [
            conv(h, w, self.refined, self.refined, self.kernel, groups=self.refined, inputs=(0, 1)),
            conv(h, w, self.refined, self.cout, 1, norm=False, act=False, held=refined, inputs=(1,)),
            conv(h, w, self.raw, self.raw, self.kernel, groups=self.raw, held=out, inputs=(1,)),
            conv(h, w, self.raw, self.cout, 1, norm=False, act=False, held=out + raw),
        ]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, h, w

    def emit(self, graph: Graph, refined: Feature, raw: Feature) -> Feature:
        one, other = (
            graph.conv(graph.conv_bn(x, f"{path}.dw", c, self.kernel, 1, c, RELU), f"{path}.project", self.cout)
            for x, path, c in ((refined, "refined", self.refined), (raw, "raw", self.raw))
        )
        return graph.add(one, other)

    def build(self) -> Module:
        from litepose_nas.blocks.fusion_torch import FusionHeadModule

        return FusionHeadModule(self)
