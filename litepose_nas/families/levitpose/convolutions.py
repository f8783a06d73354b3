"""Blocks around the attentions of EfficientViT (2023): patch embeddings, feed-forward nets, ways to downsample."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.graph import RELU, SIGMOID, Feature, Graph
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow


class ConvEmbedding(NamedTuple):
    """3x3 convolutions of stride 2, each twice as wide as the one before, the last one linear (EfficientViT, 2023).

    How many there are is not elastic: with another number it has another name.
    """

    cout: int
    number: int

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.cout // 2**i for i in reversed(range(self.number)))

    def ops(self, h: int, w: int) -> list[Op]:
        ops, cin = [], 3
        for i, width in enumerate(self.widths):
            held = cin * h * w if i else 0
            act = i < self.number - 1
            ops.append(conv(h, w, cin, width, 3, 2, act=act, held=held, inputs=() if i else (0,)))
            cin, h, w = width, ceil_div(h, 2), ceil_div(w, 2)
        return ops

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 2**self.number), ceil_div(w, 2**self.number)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        for i, width in enumerate(self.widths):
            x = graph.conv_bn(x, str(i), width, 3, 2, act="" if width == self.cout else RELU)
        return x

    def build(self) -> Module:
        from litepose_nas.families.levitpose.convolutions_torch import ConvEmbeddingModule

        return ConvEmbeddingModule(self)


class PatchEmbedding(NamedTuple):
    """One convolution of stride 4 whose patches overlap by the kernel less the stride (HEViTPose, 2023)."""

    cout: int
    kernel: int

    def ops(self, h: int, w: int) -> list[Op]:
        return [conv(h, w, 3, self.cout, self.kernel, 4, act=False, inputs=(0,))]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 4), ceil_div(w, 4)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.conv_bn(x, "project", self.cout, self.kernel, 4)

    def build(self) -> Module:
        from litepose_nas.families.levitpose.convolutions_torch import PatchEmbeddingModule

        return PatchEmbeddingModule(self)


class LightEmbedding(NamedTuple):
    """A 3x3 convolution of stride 2, separable ones of 3x3 and 5x5 of stride 2 side by side, shuffled, mixed by a 1x1.

    After LEViTPose's stem, whose sizes are not public.
    """

    mid: int
    half: int  # channels of each of the two; the output has twice as many

    def ops(self, h: int, w: int) -> list[Op]:
        """The two separable ones one after the other."""
        (h2, w2), (h4, w4) = ((ceil_div(h, by), ceil_div(w, by)) for by in (2, 4))
        mid, half = self.mid * h4 * w4, self.half * h4 * w4
        steps = [Step("conv", self.mid * h2 * w2, conv(h, w, 3, self.mid, 3, 2), (0,))]
        for kernel in (3, 5):
            depthwise = conv(h2, w2, self.mid, self.mid, kernel, 2, self.mid, act=False)
            steps += [
                Step(f"{kernel}.dw", mid, depthwise, ("conv",)),
                Step(f"{kernel}", half, conv(h4, w4, self.mid, self.half, 1), (f"{kernel}.dw",)),
            ]
        mix = conv(h4, w4, 2 * self.half, 2 * self.half, 1, act=False)
        return flow([*steps, Step("shuffled", 2 * half, COPY, ("3", "5")), Step("mixed", 2 * half, mix, ("shuffled",))])

    def out(self, h: int, w: int) -> Shape:
        return 2 * self.half, ceil_div(h, 4), ceil_div(w, 4)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        x = graph.conv_bn(x, "conv", self.mid, 3, 2, act=RELU)
        small, large = (
            graph.conv_bn(
                graph.conv_bn(x, f"{path}.0", self.mid, kernel, 2, self.mid), f"{path}.1", self.half, act=RELU
            )
            for path, kernel in (("small", 3), ("large", 5))
        )
        return graph.conv_bn(graph.deal(graph.concat([small, large]), self.half), "mix", 2 * self.half)

    def build(self) -> Module:
        from litepose_nas.families.levitpose.convolutions_torch import LightEmbeddingModule

        return LightEmbeddingModule(self)


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

    def emit(self, graph: Graph, x: Feature) -> Feature:
        x = graph.add(x, graph.conv_bn(x, "dw", self.dim, 3, 1, self.dim))
        return graph.add(x, graph.conv_bn(graph.conv_bn(x, "up", self.hidden, act=RELU), "down", self.dim))

    def build(self) -> Module:
        from litepose_nas.families.levitpose.convolutions_torch import DepthwiseFFNModule

        return DepthwiseFFNModule(self)


class ConvDownsample(NamedTuple):
    """A 3x3 convolution of stride 2."""

    cin: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        return [conv(h, w, self.cin, self.cout, 3, 2, act=False, inputs=(0,))]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.conv_bn(x, "project", self.cout, 3, 2)

    def build(self) -> Module:
        from litepose_nas.families.levitpose.convolutions_torch import ConvDownsampleModule

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

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.conv_bn(graph.conv_bn(x, "dw", self.cin, 3, 2, self.cin), "project", self.cout)

    def build(self) -> Module:
        from litepose_nas.families.levitpose.convolutions_torch import DepthwiseDownsampleModule

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
                Step("sigmoid", self.mid, COPY._replace(activation=SIGMOID), ("gate",)),
                Step("gated", self.mid * h2 * w2, COPY, ("dw", "sigmoid")),
                Step("down", self.cout * h2 * w2, conv(h2, w2, self.mid, self.cout, 1, act=False), ("gated",)),
            ]
        )

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, 2), ceil_div(w, 2)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        x = graph.conv_bn(graph.conv_bn(x, "up", self.mid, act=RELU), "dw", self.mid, 3, 2, self.mid, RELU)
        gate = graph.conv(graph.mean(x, position=True), "squeeze", self.squeezed, act=RELU, bias=True)
        gate = graph.conv(gate, "excite", self.mid, act=SIGMOID, bias=True)
        return graph.conv_bn(graph.mul(x, gate), "down", self.cout)

    def build(self) -> Module:
        from litepose_nas.families.levitpose.convolutions_torch import MergeDownsampleModule

        return MergeDownsampleModule(self)
