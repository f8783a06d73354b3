"""Blocks of DaViT (2022): patches, attention inside windows, attention between channels.

Queries, keys and values have heads x width channels in one axis, channel c in head c // width: the heads of a narrower
network are the first ones of a wider, and narrower heads are parts of wider ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.graph import GELU, SOFTMAX, Feature, Graph
from litepose_nas.blocks.ops import COPY, UNTIMED, Op, Step, conv, flow, linear, maybe, norm


class PatchStem(NamedTuple):
    """A 7x7 convolution of stride 4 of the picture, then a normalisation of each place."""

    dim: int

    def ops(self, h: int, w: int) -> list[Op]:
        _, h4, w4 = self.out(h, w)
        cut = conv(h, w, 3, self.dim, 7, 4, norm=False, act=False, bias=True)
        size = self.dim * h4 * w4
        return flow([Step("patches", size, cut, (0,)), Step("normed", size, norm(self.dim), ("patches",))])

    def out(self, h: int, w: int) -> Shape:
        return self.dim, ceil_div(h, 4), ceil_div(w, 4)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.layer_norm(graph.conv(x, "conv", self.dim, 7, 4, bias=True), "norm")

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.davit_torch import PatchStemModule

        return PatchStemModule(self)


class PatchEmbed(NamedTuple):
    """A normalisation of each place, then a convolution of stride 2 whose patches touch (kernel 2) or overlap (3)."""

    cin: int
    dim: int
    kernel: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Patches that touch need an even size, so an odd one is padded."""
        _, h2, w2 = self.out(h, w)
        steps, last = [Step("normed", self.cin * h * w, norm(self.cin), (0,))], "normed"
        if maybe(self.kernel == 2) and maybe(4 * h2 * w2 != h * w):
            steps, last = [*steps, Step("padded", self.cin * 4 * h2 * w2, UNTIMED, (last,))], "padded"
        cut = conv(h, w, self.cin, self.dim, self.kernel, 2, norm=False, act=False, bias=True)
        return flow([*steps, Step("patches", self.dim * h2 * w2, cut, (last,))])

    def out(self, h: int, w: int) -> Shape:
        return self.dim, ceil_div(h, 2), ceil_div(w, 2)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.conv(graph.layer_norm(x, "norm"), "conv", self.dim, self.kernel, 2, bias=True)

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.davit_torch import PatchEmbedModule

        return PatchEmbedModule(self)


class WindowBlock(NamedTuple):
    """Attention between the positions of a window, then a feed-forward net, each behind a depthwise convolution."""

    dim: int
    inner: int  # channels of queries, keys and values: those of all heads
    width: int  # channels of a head; scores are divided by its root
    hidden: int  # of the feed-forward net
    window: int  # the side of the squares; the picture is padded with zeros, which are attended to

    def ops(self, h: int, w: int) -> list[Op]:
        """Padded positions are computed too."""
        each = self.window * self.window
        count = ceil_div(h, self.window) * ceil_div(w, self.window)
        padded, inner = count * each, self.inner
        cut, rim = maybe(count > 1), maybe(padded > h * w)
        steps, x = [Step("normed", self.dim * h * w, norm(self.dim), ("placed",))], "normed"
        if rim:
            steps, x = [*steps, Step("padded", self.dim * padded, UNTIMED, (x,))], "padded"
        if cut:
            steps, x = [*steps, Step("windows", self.dim * padded, UNTIMED, (x,))], "windows"
        # With queries, then with values; fused.
        products = Op(macs=2 * count * each * each * inner, params=0, kind="attention", activation=SOFTMAX)
        steps += [
            Step("qkv", 3 * inner * padded, linear(padded, self.dim, 3 * inner), (x,)),
            Step("found", inner * padded, products, ("qkv",)),
        ]
        found = "found"
        if maybe(inner > self.width):
            steps, found = [*steps, Step("heads", inner * padded, UNTIMED, (found,))], "heads"
        steps, found = [*steps, Step("mixed", self.dim * padded, linear(padded, inner, self.dim), (found,))], "mixed"
        if cut:
            steps, found = [*steps, Step("joined", self.dim * padded, UNTIMED, (found,))], "joined"
        if rim:
            steps, found = [*steps, Step("cropped", self.dim * h * w, UNTIMED, (found,))], "cropped"
        return _around(self, steps, found, h, w)

    def out(self, h: int, w: int) -> Shape:
        return self.dim, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return _emit_around(self, graph, x, self._emit_mix)

    def _emit_mix(self, graph: Graph, tokens: Feature) -> Feature:
        tokens = graph.linear(graph.cut(tokens, *graph.size, self.window), "qkv", 3 * self.inner)
        found = graph.attention(tokens, self.inner // self.width, self.width**-0.5)
        return graph.join(graph.linear(found, "out", self.dim), *graph.size, self.window)

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.davit_torch import WindowBlockModule

        return WindowBlockModule(self)


class ChannelBlock(NamedTuple):
    """Attention between the channels of a head, over all positions; else like the block of windows."""

    dim: int
    inner: int
    width: int
    hidden: int

    def ops(self, h: int, w: int) -> list[Op]:
        """The scores of a head's channels are small, and in memory as a whole."""
        tokens, inner, scores = h * w, self.inner, self.inner * self.width
        product = Op(macs=scores * tokens, params=0, kind="attention")
        steps = [
            Step("normed", self.dim * tokens, norm(self.dim), ("placed",)),
            Step("qkv", 3 * inner * tokens, linear(tokens, self.dim, 3 * inner), ("normed",)),
            Step("scores", scores, product, ("qkv",)),
            Step("shares", scores, COPY._replace(activation=SOFTMAX), ("scores",)),
            Step("found", inner * tokens, product, ("shares", "qkv")),
            Step("mixed", self.dim * tokens, linear(tokens, inner, self.dim), ("found",)),
        ]
        return _around(self, steps, "mixed", h, w)

    def out(self, h: int, w: int) -> Shape:
        return self.dim, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return _emit_around(self, graph, x, self._emit_mix)

    def _emit_mix(self, graph: Graph, tokens: Feature) -> Feature:
        packed = graph.linear(tokens, "qkv", 3 * self.inner)
        found = graph.channel_attention(packed, self.inner // self.width, self.width**-0.5)
        return graph.linear(found, "out", self.dim)

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.davit_torch import ChannelBlockModule

        return ChannelBlockModule(self)


def _around(block: WindowBlock | ChannelBlock, steps: list[Step], found: str, h: int, w: int) -> list[Op]:
    """The whole flow: a depthwise convolution before the attention, one behind it, the feed-forward net."""
    dim, tokens = block.dim, h * w
    place = conv(h, w, dim, dim, 3, groups=dim, norm=False, act=False, bias=True)
    hidden = linear(tokens, dim, block.hidden, activation=GELU)
    return flow(
        [
            Step("placed", dim * tokens, place, (0,)),
            Step("over", 0, COPY, (0, "placed")),
            *steps,
            Step("over again", 0, COPY, ("placed", found)),
            Step("placed again", dim * tokens, place, (found,)),
            Step("over a third time", 0, COPY, (found, "placed again")),
            Step("normed again", dim * tokens, norm(dim), ("placed again",)),
            Step("hidden", block.hidden * tokens, hidden, ("normed again",)),
            Step("result", dim * tokens, linear(tokens, block.hidden, dim), ("hidden",)),
            Step("over at last", 0, COPY, ("placed again", "result")),
        ]
    )


def _emit_around(
    block: WindowBlock | ChannelBlock, graph: Graph, x: Feature, mix: Callable[[Graph, Feature], Feature]
) -> Feature:
    x = graph.add(x, graph.conv(x, "place1", block.dim, 3, groups=block.dim, bias=True))
    tokens = graph.tokens(x)
    tokens = graph.add(tokens, mix(graph, graph.layer_norm(tokens, "norm1")))
    x = graph.feature(tokens, *graph.size)
    x = graph.add(x, graph.conv(x, "place2", block.dim, 3, groups=block.dim, bias=True))
    tokens = graph.tokens(x)
    hidden = graph.linear(graph.layer_norm(tokens, "norm2"), "feed.up", block.hidden, GELU)
    return graph.feature(graph.add(tokens, graph.linear(hidden, "feed.down", block.dim)), *graph.size)


class LayerNorm2d(NamedTuple):
    """A normalisation of each place over its channels."""

    dim: int

    def ops(self, h: int, w: int) -> list[Op]:
        return flow([Step("normed", self.dim * h * w, norm(self.dim), (0,))])

    def out(self, h: int, w: int) -> Shape:
        return self.dim, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.layer_norm(x, "norm")

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.davit_torch import LayerNorm2dModule

        return LayerNorm2dModule(self)
