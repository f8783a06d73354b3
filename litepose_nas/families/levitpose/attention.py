"""Cascaded group attention: each head sees its own part of the channels plus what the head before it found.

Head j works on channels j, j + heads, j + 2 heads, ... of the feature; what does not divide is left to other blocks.
"""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.graph import RELU, Feature, Graph
from litepose_nas.blocks.ops import COPY, Op, Step, attention, conv, flow, linear, norm, weights

MOST_HEADS = 4


class WindowCascade(NamedTuple):
    """Attention inside windows (EfficientViT, 2023), added to what came in."""

    dim: int
    heads: int
    chunk: int  # channels of a head
    key: int  # channels of a head's queries and keys
    kernel0: int  # of the depthwise convolution of the first head's queries
    kernel1: int  # of the second's; 0 where there is no such head
    kernel2: int
    kernel3: int
    window: int  # side; a smaller feature is one window as it is
    scale: int  # scores are divided by its root: one number for a space, or narrow heads would not lie inside wide ones

    @property
    def kernels(self) -> tuple[int, ...]:
        return (self.kernel0, self.kernel1, self.kernel2, self.kernel3)[: self.heads]

    def ops(self, h: int, w: int) -> list[Op]:
        """Every head in turn, then the projection; padded positions are computed too."""
        fits = h <= self.window and w <= self.window
        side = (h, w) if fits else (self.window, self.window)
        count = ceil_div(h, side[0]) * ceil_div(w, side[1])
        each = side[0] * side[1]
        tokens = count * each
        padded, split = tokens > h * w, count > 1
        steps, x = [], 0  # type: list[Step], int | str
        if padded:
            steps, x = [Step("padded", self.dim * tokens, COPY, (x,))], "padded"
        if split:
            steps, x = [*steps, Step("windows", self.dim * tokens, COPY, (x,))], "windows"
        for j, kernel in enumerate(self.kernels):
            q, k, v, y, mixed = (f"{j}.{name}" for name in ("q", "k", "v", "y", "mixed"))
            source: int | str = x
            if j > 0:
                steps.append(Step(mixed, self.chunk * tokens, COPY, (x, f"{j - 1}.y")))
                source = mixed
            # A map of single positions or a depthwise one costs the same for a row of windows as for one wide picture.
            project = conv(tokens, 1, self.chunk, self.key, 1, act=False)
            depthwise = conv(tokens, 1, self.key, self.key, kernel, groups=self.key, act=False)
            products = attention(each, each, self.key, self.chunk)
            steps += [
                Step(f"{q}.0", self.key * tokens, project, (source,)),
                Step(q, self.key * tokens, depthwise, (f"{q}.0",)),
                Step(k, self.key * tokens, project, (source,)),
                Step(v, self.chunk * tokens, conv(tokens, 1, self.chunk, self.chunk, 1, act=False), (source,)),
                Step(y, self.chunk * tokens, products._replace(macs=count * products.macs), (q, k, v)),
            ]
        joined = self.heads * self.chunk
        table = weights(self.heads * self.window * self.window)._replace(activation=RELU)  # that of what is joined
        steps += [
            Step("joined", joined * tokens, table, tuple(f"{j}.y" for j in range(self.heads))),
            Step("projected", self.dim * tokens, conv(tokens, 1, joined, self.dim, 1, act=False), ("joined",)),
        ]
        found = "projected"
        if split:
            steps.append(Step("picture", self.dim * tokens, COPY, (found,)))
            found = "picture"
        if padded:
            steps.append(Step("cropped", self.dim * h * w, COPY, (found,)))
            found = "cropped"
        return flow([*steps, Step("over", 0, COPY, (0, found))])

    def out(self, h: int, w: int) -> Shape:
        return self.dim, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        (h, w), side = graph.size, self.window
        fits = h <= side and w <= side
        windows = x if fits else graph.feature(graph.cut(graph.tokens(x), h, w, side), side, side)
        parts, found = _parts(graph, windows, self.heads, self.chunk), []  # type: list[Feature], list[Feature]
        for j, (part, kernel) in enumerate(zip(parts, self.kernels, strict=True)):
            part = graph.add(part, found[-1]) if found else part
            q = graph.conv_bn(part, f"heads.{j}.q", self.key)
            q = graph.conv_bn(q, f"heads.{j}.dw", self.key, kernel, groups=self.key)
            k = graph.conv_bn(part, f"heads.{j}.k", self.key)
            q, k, v = map(graph.tokens, (q, k, graph.conv_bn(part, f"heads.{j}.v", self.chunk)))
            y = graph.attend(q, k, v, self.scale**-0.5, f"heads.{j}.bias")
            found.append(graph.feature(y, *part.shape[1:]))
        mixed = graph.conv(graph.concat(found, RELU), "project", self.dim, norm="project.bn")
        return graph.add(x, mixed if fits else graph.feature(graph.join(graph.tokens(mixed), h, w, side), h, w))

    def build(self) -> Module:
        from litepose_nas.families.levitpose.attention_torch import WindowCascadeModule

        return WindowCascadeModule(self)


class PooledCascade(NamedTuple):
    """Attention of all positions to a few averages of the feature (after LEViTPose, 2024), added to what came in.

    The size of the map of averages does not grow with the picture, so the cost is linear in its positions. Queries,
    keys and values are normalised over their channels and pass a depthwise convolution; so no widths nest.
    """

    dim: int
    heads: int
    chunk: int
    key: int
    kernel0: int  # of the depthwise convolutions of the first head
    kernel1: int
    kernel2: int
    kernel3: int
    side: int  # of the map of averages; a smaller feature is taken as it is

    @property
    def kernels(self) -> tuple[int, ...]:
        return (self.kernel0, self.kernel1, self.kernel2, self.kernel3)[: self.heads]

    def ops(self, h: int, w: int) -> list[Op]:
        tokens, side = h * w, (min(self.side, h), min(self.side, w))
        keys, pools = side[0] * side[1], side != (h, w)
        steps: list[Step] = []
        for j, kernel in enumerate(self.kernels):
            source: int | str = 0
            if j > 0:
                steps.append(Step(f"{j}.mixed", self.chunk * tokens, COPY, (0, f"{j - 1}.y")))
                source = f"{j}.mixed"
            steps += _normed(f"{j}.q", source, tokens, self.chunk, self.key, kernel)
            reduced = source
            if pools:
                steps.append(Step(f"{j}.pooled", self.chunk * keys, COPY, (source,)))
                reduced = f"{j}.pooled"
            steps += _normed(f"{j}.r", reduced, keys, self.chunk, self.chunk)
            steps += _normed(f"{j}.k", f"{j}.r", keys, self.chunk, self.key, kernel)
            steps += _normed(f"{j}.v", f"{j}.r", keys, self.chunk, self.chunk, kernel)
            products = attention(tokens, keys, self.key, self.chunk)
            steps.append(Step(f"{j}.found", self.chunk * tokens, products, (f"{j}.q", f"{j}.k", f"{j}.v")))
            out, size = linear(tokens, self.chunk, self.chunk, bias=False), self.chunk * tokens
            steps.append(Step(f"{j}.y.0", size, out, (f"{j}.found",)))
            steps.append(Step(f"{j}.y", size, norm(self.chunk), (f"{j}.y.0",)))
        joined = self.heads * self.chunk
        parts: tuple[str, ...] = tuple(f"{j}.y" for j in range(self.heads))
        if self.heads > 1:
            steps, parts = [*steps, Step("joined", joined * tokens, COPY, parts)], ("joined",)
        project = conv(tokens, 1, joined, self.dim, 1, act=False)
        steps += [Step("projected", self.dim * tokens, project, parts), Step("over", 0, COPY, (0, "projected"))]
        return flow(steps)

    def out(self, h: int, w: int) -> Shape:
        return self.dim, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        (h, w), found = graph.size, []  # type: tuple[int, int], list[Feature]
        parts = _parts(graph, x, self.heads, self.chunk)
        for j, (part, kernel) in enumerate(zip(parts, self.kernels, strict=True)):
            part = graph.add(part, found[-1]) if found else part
            q = _emit_normed(graph, part, f"heads.{j}.q", self.key, kernel)
            averages = graph.averages(part, min(self.side, h), min(self.side, w))
            reduced = _emit_normed(graph, averages, f"heads.{j}.reduce", self.chunk)
            k = _emit_normed(graph, reduced, f"heads.{j}.k", self.key, kernel)
            q, k, v = map(graph.tokens, (q, k, _emit_normed(graph, reduced, f"heads.{j}.v", self.chunk, kernel)))
            y = graph.linear(graph.attend(q, k, v, self.key**-0.5), f"heads.{j}.out.0", self.chunk, bias=False)
            found.append(graph.feature(graph.layer_norm(y, f"heads.{j}.out.1"), h, w))
        return graph.add(x, graph.conv(graph.concat(found), "project", self.dim, norm="project.bn"))

    def build(self) -> Module:
        from litepose_nas.families.levitpose.attention_torch import PooledCascadeModule

        return PooledCascadeModule(self)


def _normed(makes: str, reads: int | str, tokens: int, cin: int, cout: int, kernel: int = 0) -> list[Step]:
    """The flow of a map of single positions, a normalisation of each, and a depthwise convolution if any."""
    size = cout * tokens
    project = conv(tokens, 1, cin, cout, 1, norm=False, act=False)
    last = f"{makes}.1" if kernel else makes
    steps = [Step(f"{makes}.0", size, project, (reads,)), Step(last, size, norm(cout), (f"{makes}.0",))]
    if kernel:
        depthwise = conv(tokens, 1, cout, cout, kernel, groups=cout, norm=False, act=False)
        steps.append(Step(makes, size, depthwise, (last,)))
    return steps


def _parts(graph: Graph, x: Feature, heads: int, chunk: int) -> list[Feature]:
    """The channels of each head."""
    dealt = graph.deal(graph.band(x, 0, heads * chunk), heads) if heads > 1 else x
    return [graph.band(dealt, j * chunk, chunk) for j in range(heads)]


def _emit_normed(graph: Graph, x: Feature, path: str, cout: int, kernel: int = 0) -> Feature:
    x = graph.layer_norm(graph.conv(x, f"{path}.0", cout), f"{path}.1")
    return graph.conv(x, f"{path}.2", cout, kernel, groups=cout) if kernel else x
