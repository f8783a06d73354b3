"""MobileViT's blocks (ICLR 2022), and as MobileViTPose has them: `bare` ones have a bias where others normalise."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.graph import SILU, Feature, Graph
from litepose_nas.blocks.ops import COPY, UNTIMED, Op, Step, attention, conv, flow, linear, maybe, move, norm


class ConvUnit(NamedTuple):
    """A convolution, batch normalisation and SiLU; a bare one is the convolution alone, with a bias."""

    cin: int
    cout: int
    kernel: int
    stride: int
    bare: bool

    def ops(self, h: int, w: int) -> list[Op]:
        bare = self.bare
        op = conv(h, w, self.cin, self.cout, self.kernel, self.stride, norm=not bare, act=False, bias=bare, inputs=(0,))
        return [op._replace(activation="" if bare else SILU)]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        bare, shape = self.bare, (self.cout, self.kernel, self.stride)
        return graph.conv(x, "conv", *shape, act="" if bare else SILU, norm="" if bare else "behind.bn", bias=bare)

    def build(self) -> Module:
        from litepose_nas.families.mobilevitpose.blocks_torch import ConvUnitModule

        return ConvUnitModule(self)

    def store(self) -> Module:
        """Where some networks are bare, the tensors of both kinds."""
        from litepose_nas.families.mobilevitpose.blocks_torch import ConvUnitModule

        return ConvUnitModule(self, both=self.bare)


class InvertedResidual(NamedTuple):
    """An inverted bottleneck with SiLU; a quiet one has no activation behind its expansion."""

    cin: int
    mid: int
    cout: int
    kernel: int
    stride: int
    residual: bool
    quiet: bool

    def ops(self, h: int, w: int) -> list[Op]:
        """The input stays in memory where it is added at the end."""
        h2, w2 = ceil_div(h, self.stride), ceil_div(w, self.stride)
        mid, mid2, kept = h * w * self.mid, h2 * w2 * self.mid, (0,) if maybe(self.residual) else ()
        added = h2 * w2 * self.cout * self.residual
        expand = conv(h, w, self.cin, self.mid, 1, act=False, activation="" if self.quiet else SILU, inputs=(0,))
        depthwise = conv(h, w, self.mid, self.mid, self.kernel, self.stride, self.mid, act=False, held=mid, inputs=kept)
        return [
            expand,
            depthwise._replace(activation=SILU),
            conv(h2, w2, self.mid, self.cout, 1, act=False, held=mid2, inputs=kept),
            move(2 * added, added),
        ]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        y = graph.conv_bn(x, "expand", self.mid, act="" if self.quiet else SILU)
        y = graph.conv_bn(y, "dw", self.mid, self.kernel, self.stride, self.mid, SILU)
        y = graph.conv_bn(y, "project", self.cout)
        return graph.add(x, y) if self.residual else y

    def build(self) -> Module:
        from litepose_nas.families.mobilevitpose.blocks_torch import InvertedResidualModule

        return InvertedResidualModule(self)


class Unfold(NamedTuple):
    """A 3x3 convolution, a 1x1 one to the width of tokens, and the picture cut into sequences of tokens.

    Pixels at the same place of their patches are one sequence. A size that patches do not divide is resized.
    """

    cin: int
    dim: int
    patch: int  # its side
    normed: bool  # the 1x1 convolution is followed by batch normalisation and SiLU

    def ops(self, h: int, w: int) -> list[Op]:
        dim, rows, columns = self.out(h, w)
        wide = conv(h, w, self.cin, dim, 1, norm=self.normed, act=False)
        steps = [
            Step("local", self.cin * h * w, conv(h, w, self.cin, self.cin, 3, act=False, activation=SILU), (0,)),
            Step("wide", dim * h * w, wide._replace(activation=SILU if self.normed else ""), ("local",)),
        ]
        if maybe((rows != h) | (columns != w)):
            steps.append(Step("resized", dim * rows * columns, UNTIMED, ("wide",)))
        return flow([*steps, Step("tokens", dim * rows * columns, COPY, (steps[-1].makes,))])

    def out(self, h: int, w: int) -> Shape:
        return (self.dim, *patched(h, w, self.patch))

    def emit(self, graph: Graph, x: Feature) -> Feature:
        x = graph.conv_bn(x, "conv", self.cin, 3, act=SILU)
        if self.normed:
            x = graph.conv_bn(x, "wide", self.dim, act=SILU)
        else:
            x = graph.conv(x, "wide.conv", self.dim)
        return graph.unfold(graph.resize(x, *patched(*graph.size, self.patch)), self.patch)

    def build(self) -> Module:
        from litepose_nas.families.mobilevitpose.blocks_torch import UnfoldModule

        return UnfoldModule(self)


class TransformerLayer(NamedTuple):
    """One transformer layer: attention between the tokens of a sequence, then a feed-forward net, each added."""

    dim: int
    heads: int  # channel c is in head c % heads, so that no number of heads needs a place of its own in the store
    inner: int  # channels of all heads
    hidden: int  # of the feed-forward net
    patch: int
    scale: int  # scores are divided by its root
    biased: bool  # queries, keys, values and the way back have biases

    def ops(self, h: int, w: int) -> list[Op]:
        rows, columns = patched(h, w, self.patch)
        tokens, sequences, dim, inner = rows * columns, self.patch * self.patch, self.dim, self.inner
        each = tokens // sequences
        one = attention(each, each, inner, inner)
        products = one._replace(
            macs=sequences * one.macs,
            read=sequences * one.read,
            made=sequences * one.made,
            scores=sequences * self.heads * each * each,
        )
        hidden = linear(tokens, dim, self.hidden, activation=SILU)
        steps = [
            Step("normed", dim * tokens, norm(dim), (0,)),
            Step("qkv", 3 * inner * tokens, linear(tokens, dim, 3 * inner, bias=self.biased), ("normed",)),
            Step("found", inner * tokens, products, ("qkv",)),
        ]
        if maybe(self.heads > 1):
            steps.append(Step("heads", inner * tokens, UNTIMED, ("found",)))
        return flow(
            [
                *steps,
                Step("mixed", dim * tokens, linear(tokens, inner, dim, bias=self.biased), (steps[-1].makes,)),
                Step("over", 0, COPY, (0, "mixed")),
                Step("normed again", dim * tokens, norm(dim), ("mixed",)),
                Step("hidden", self.hidden * tokens, hidden, ("normed again",)),
                Step("result", dim * tokens, linear(tokens, self.hidden, dim), ("hidden",)),
                Step("over again", 0, COPY, ("mixed", "result")),
            ]
        )

    def out(self, h: int, w: int) -> Shape:
        return (self.dim, *patched(h, w, self.patch))

    def emit(self, graph: Graph, tokens: Feature) -> Feature:
        x = graph.linear(graph.layer_norm(tokens, "norm1"), "attention.qkv", 3 * self.inner, bias=self.biased)
        x = graph.attention(x, self.heads, self.scale**-0.5)
        tokens = graph.add(tokens, graph.linear(x, "attention.out", self.dim, bias=self.biased))
        x = graph.linear(graph.layer_norm(tokens, "norm2"), "up", self.hidden, SILU)
        return graph.add(tokens, graph.linear(x, "down", self.dim))

    def build(self) -> Module:
        from litepose_nas.families.mobilevitpose.blocks_torch import TransformerLayerModule

        return TransformerLayerModule(self)


class Fold(NamedTuple):
    """Tokens normalised, put together as the picture they were cut from, and a 1x1 convolution to its width."""

    dim: int
    cout: int
    patch: int
    bare: bool  # no normalisation on either side, no activation; a bias

    def ops(self, h: int, w: int) -> list[Op]:
        """h and w are those of the picture."""
        (rows, columns), dim, bare = patched(h, w, self.patch), self.dim, self.bare
        steps: list[Step] = [] if bare else [Step("normed", dim * rows * columns, norm(dim), (0,))]
        steps.append(Step("picture", dim * rows * columns, COPY, (0 if bare else "normed",)))
        if maybe((rows != h) | (columns != w)):
            steps.append(Step("resized", dim * h * w, UNTIMED, ("picture",)))
        op = conv(h, w, dim, self.cout, 1, norm=not bare, act=False, activation="" if bare else SILU, bias=bare)
        return flow([*steps, Step("result", self.cout * h * w, op, (steps[-1].makes,))])

    def out(self, h: int, w: int) -> Shape:
        return self.cout, h, w

    def emit(self, graph: Graph, tokens: Feature) -> Feature:
        bare = self.bare
        tokens = tokens if bare else graph.layer_norm(tokens, "norm")
        x = graph.fold(tokens, self.patch, *patched(*graph.size, self.patch))
        x = graph.resize(x, *graph.size)
        return graph.conv(x, "conv", self.cout, act="" if bare else SILU, norm="" if bare else "behind.bn", bias=bare)

    def build(self) -> Module:
        from litepose_nas.families.mobilevitpose.blocks_torch import FoldModule

        return FoldModule(self)

    def store(self) -> Module:
        """Where some networks are bare, the tensors of both kinds."""
        from litepose_nas.families.mobilevitpose.blocks_torch import FoldModule

        return FoldModule(self, both=self.bare)


class MergeConv(NamedTuple):
    """A convolution of two joined features of one width, batch normalisation and SiLU."""

    width: int
    kernel: int
    bare: bool  # a bias in place of both

    def ops(self, h: int, w: int) -> list[Op]:
        """One convolution for each feature; what stands behind belongs to their sum."""
        width, kernel, bare = self
        last = conv(h, w, width, width, kernel, norm=not bare, act=False, bias=bare, held=h * w * width, inputs=(1,))
        first = conv(h, w, width, width, kernel, norm=False, act=False, inputs=(0, 1))
        return [first, last._replace(activation="" if bare else SILU)]

    def out(self, h: int, w: int) -> Shape:
        return self.width, h, w

    def emit(self, graph: Graph, first: Feature, second: Feature) -> Feature:
        one = graph.conv(first, "first", self.width, self.kernel)
        joined = graph.add(one, graph.conv(second, "second", self.width, self.kernel, bias=self.bare))
        return joined if self.bare else graph.batch_norm(joined, "behind.bn", SILU)

    def build(self) -> Module:
        from litepose_nas.families.mobilevitpose.blocks_torch import MergeConvModule

        return MergeConvModule(self)

    def store(self) -> Module:
        """Where some networks are bare, the tensors of both kinds."""
        from litepose_nas.families.mobilevitpose.blocks_torch import MergeConvModule

        return MergeConvModule(self, both=self.bare)


def patched(h: int, w: int, patch: int) -> tuple[int, int]:
    """A size rounded up to whole patches."""
    return ceil_div(h, patch) * patch, ceil_div(w, patch) * patch
