"""Joining a feature of this frame with the heatmaps of the frame before."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape
from litepose_nas.blocks.concat import ConcatConv
from litepose_nas.blocks.graph import RELU, Feature, Graph
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow

ADD, MULTIPLY, CONCAT = range(3)
WAYS = {"add": ADD, "mul": MULTIPLY, "cat": CONCAT}


class TemporalFuse(NamedTuple):
    """Resize heatmaps to a feature's size, convolve them to its width, join the two and mix them by a 1x1 convolution.

    Position and way of joining do not nest: each pair has a name of its own, such as `fuse.2.cat`, and its own weights.
    """

    joints: int
    width: int
    way: int  # one of ADD, MULTIPLY, CONCAT
    through: bool = True  # gradients go on into the frame before

    def ops(self, h: int, w: int) -> list[Op]:
        """All at the feature's size, whatever the heatmaps' size."""
        feature = self.width * h * w
        lift, mix = conv(h, w, self.joints, self.width, 1), conv(h, w, self.width, self.width, 1)
        band = conv(h, w, self.width, self.width, 1, norm=False, act=False)
        steps = [Step("resized", self.joints * h * w, COPY, (1,)), Step("lifted", feature, lift, ("resized",))]
        if self.way == CONCAT:
            steps += [Step("band", feature, band, (0,)), Step("mixed", feature, mix, ("lifted",))]
            return flow([*steps, Step("over", 0, COPY, ("band", "mixed"))])
        return flow([*steps, Step("over", 0, COPY, (0, "lifted")), Step("mixed", feature, mix, ("lifted",))])

    def out(self, h: int, w: int) -> Shape:
        return self.width, h, w

    def emit(self, graph: Graph, x: Feature, heatmaps: Feature) -> Feature:
        lifted = graph.conv_bn(graph.resize(heatmaps, *x.shape[1:]), "lift.conv", self.width, act=RELU)
        if self.way == CONCAT:
            with graph.inside("mix"):
                return ConcatConv(self.width, self.width, self.width, 1).emit(graph, x, lifted)
        joined = graph.add(x, lifted) if self.way == ADD else graph.mul(x, lifted)
        return graph.conv_bn(joined, "mix", self.width, act=RELU)

    def build(self) -> Module:
        from litepose_nas.blocks import temporal_torch

        kinds = {
            ADD: temporal_torch.AddHeatmaps,
            MULTIPLY: temporal_torch.MultiplyHeatmaps,
            CONCAT: temporal_torch.ConcatHeatmaps,
        }
        return kinds[self.way](self)
