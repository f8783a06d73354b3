"""Blocks of HRNet (2019): convolutions, residual blocks, the exchange between branches of different resolution.

And ways to merge a feature of a side branch into one of its own, which keeps its size and width.
"""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.graph import RELU, SIGMOID, Feature, Graph
from litepose_nas.blocks.ops import COPY, UNTIMED, Op, Step, conv, flow, maybe


class Conv3x3(NamedTuple):
    """A 3x3 convolution, normalised and activated."""

    cin: int
    cout: int
    stride: int

    def ops(self, h: int, w: int) -> list[Op]:
        return [conv(h, w, self.cin, self.cout, 3, self.stride, inputs=(0,))]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.conv_bn(x, "mix", self.cout, 3, self.stride, act=RELU)

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.hrnet_torch import Conv3x3Module

        return Conv3x3Module(self)


class BasicBlock(NamedTuple):
    """Two 3x3 convolutions added to what came in, then ReLU."""

    width: int

    def ops(self, h: int, w: int) -> list[Op]:
        """The input stays in memory until it is added."""
        first, second = (conv(h, w, self.width, self.width, 3, inputs=(0,)) for _ in range(2))
        return [first, second._replace(live=first.live + second.live)]

    def out(self, h: int, w: int) -> Shape:
        return self.width, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        y = graph.conv_bn(x, "first", self.width, 3, act=RELU)
        return graph.add(graph.conv_bn(y, "second", self.width, 3), x, RELU)

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.hrnet_torch import BasicBlockModule

        return BasicBlockModule(self)


class Bottleneck(NamedTuple):
    """1x1, 3x3, 1x1, added to what came in, which a 1x1 of its own brings to a new width; then ReLU."""

    cin: int
    mid: int
    cout: int
    projected: bool

    def ops(self, h: int, w: int) -> list[Op]:
        mid, out = self.mid * h * w, self.cout * h * w
        steps = [
            Step("reduced", mid, conv(h, w, self.cin, self.mid, 1), (0,)),
            Step("mixed", mid, conv(h, w, self.mid, self.mid, 3), ("reduced",)),
            Step("expanded", out, conv(h, w, self.mid, self.cout, 1), ("mixed",)),
        ]
        if self.projected:
            steps.append(Step("projected", out, conv(h, w, self.cin, self.cout, 1, act=False), (0,)))
        last = "projected" if self.projected else 0
        return flow([*steps, Step("over", 0, COPY, ("expanded", last))])

    def out(self, h: int, w: int) -> Shape:
        return self.cout, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        y = graph.conv_bn(graph.conv_bn(x, "reduce", self.mid, act=RELU), "mix", self.mid, 3, act=RELU)
        y = graph.conv_bn(y, "expand", self.cout)
        return graph.add(y, graph.conv_bn(x, "project", self.cout) if self.projected else x, RELU)

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.hrnet_torch import BottleneckModule

        return BottleneckModule(self)


class Fuse(NamedTuple):
    """Bring every branch to the size and width of one of them and add them.

    Down by 3x3 convolutions of stride 2, up by a 1x1 convolution and repetition.

    Branch i has half the resolution of branch i - 1; a width of 0 says that it is absent. The first never is, and its
    size is the block's input size. `into` is not elastic: a block into another branch has another name. The module
    takes the branches that are present, in order.
    """

    into: int
    width0: int
    width1: int
    width2: int = 0
    width3: int = 0

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of every branch, 0 where it is absent."""
        return self.width0, self.width1, self.width2, self.width3

    def ops(self, h: int, w: int) -> list[Op]:
        """The convolutions of every source in turn; each result is added to the sum before the next begins."""
        steps: list[Step] = []
        channels, out_h, out_w = self.out(h, w)
        size, total = channels * out_h * out_w, ""  # type: int, int | str
        for j, i in enumerate(i for i, width in enumerate(self.widths) if maybe(width)):
            path = [] if i == self.into else self._path(i, j, *_halved(h, w, i))
            steps += path
            term: int | str = path[-1].makes if path else j
            if j == 0:
                total = term
                continue
            cropped = bool(path) and maybe(path[-1].elements != size)  # the sum does not fit over it
            steps.append(Step(f"{i}.sum", size if cropped else 0, UNTIMED._replace(activation=RELU), (total, term)))
            total = f"{i}.sum" if cropped else term if path else total
        return flow(steps)

    def _path(self, i: int, reads: int, h: int, w: int) -> list[Step]:
        cin, cout = self.widths[i], self.widths[self.into]
        if i > self.into:
            up = cout * h * w * 4 ** (i - self.into)
            project = conv(h, w, cin, cout, 1, act=False)
            return [Step(f"{i}.conv", cout * h * w, project, (reads,)), Step(f"{i}.up", up, COPY, (f"{i}.conv",))]
        steps: list[Step] = []
        for k in range(i + 1, self.into + 1):
            last = k == self.into
            width, (h2, w2) = cout if last else cin, _halved(h, w, 1)
            op = conv(h, w, cin, width, 3, 2, act=not last)
            steps.append(Step(f"{i}.{k}", width * h2 * w2, op, (steps[-1].makes if steps else reads,)))
            h, w = h2, w2
        return steps

    def out(self, h: int, w: int) -> Shape:
        return (self.widths[self.into], *_halved(h, w, self.into))

    def emit(self, graph: Graph, *branches: Feature) -> Feature:
        present = [i for i, width in enumerate(self.widths) if width]
        own = branches[present.index(self.into)]
        total: Feature | None = None
        for i, branch in zip(present, branches, strict=True):
            term = branch if i == self.into else graph.crop(self._emit_path(graph, branch, i), *own.shape[1:])
            total = term if total is None else graph.add(total, term, RELU if i == present[-1] else "")
        assert total is not None
        return total

    def _emit_path(self, graph: Graph, x: Feature, i: int) -> Feature:
        cin, cout = self.widths[i], self.widths[self.into]
        if i > self.into:
            x = graph.conv(x, f"paths.{i}.0", cout, norm=f"paths.{i}.1")
            return graph.repeat(x, 2 ** (i - self.into))
        last = self.into - i - 1
        for k in range(last):
            x = graph.conv_bn(x, f"paths.{i}.{k}", cin, 3, 2, act=RELU)
        return graph.conv_bn(x, f"paths.{i}.{last}", cout, 3, 2)

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.hrnet_torch import FuseModule

        return FuseModule(self)


def _halved(h: int, w: int, times: int) -> tuple[int, int]:
    return ceil_div(h, 2**times), ceil_div(w, 2**times)


class AddMerge(NamedTuple):
    """The side branch passes through a 1x1 convolution, is normalised and added."""

    width: int
    side: int

    def ops(self, h: int, w: int) -> list[Op]:
        project = conv(h, w, self.side, self.width, 1, act=False)
        size = self.width * h * w
        return flow([Step("projected", size, project, (1,)), Step("over", 0, COPY, (0, "projected"))])

    def out(self, h: int, w: int) -> Shape:
        return self.width, h, w

    def emit(self, graph: Graph, x: Feature, side: Feature) -> Feature:
        return graph.add(x, graph.conv_bn(side, "project", self.width))

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.hrnet_torch import AddMergeModule

        return AddMergeModule(self)


class GateMerge(NamedTuple):
    """The same, each number weighed by a gate between 0 and 1 that a 1x1 convolution of both branches opens."""

    width: int
    side: int

    def ops(self, h: int, w: int) -> list[Op]:
        """A band of the gate for each branch, the second with a bias."""
        size = self.width * h * w
        mine = conv(h, w, self.width, self.width, 1, norm=False, act=False)
        theirs = conv(h, w, self.side, self.width, 1, norm=False, act=False, bias=True)
        project = conv(h, w, self.side, self.width, 1, act=False)
        return flow(
            [
                Step("mine", size, mine, (0,)),
                Step("theirs", size, theirs, (1,)),
                Step("over", 0, COPY, ("mine", "theirs")),
                Step("gate", size, COPY._replace(activation=SIGMOID), ("theirs",)),
                Step("projected", size, project, (1,)),
                Step("weighed", 0, COPY, ("gate", "projected")),
                Step("over again", 0, COPY, (0, "projected")),
            ]
        )

    def out(self, h: int, w: int) -> Shape:
        return self.width, h, w

    def emit(self, graph: Graph, x: Feature, side: Feature) -> Feature:
        mine, theirs = graph.conv(x, "mine", self.width), graph.conv(side, "theirs", self.width, bias=True)
        gate = graph.add(mine, theirs, SIGMOID)
        return graph.add(x, graph.mul(gate, graph.conv_bn(side, "project", self.width)))

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.hrnet_torch import GateMergeModule

        return GateMergeModule(self)
