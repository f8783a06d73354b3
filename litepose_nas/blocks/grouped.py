"""Blocks with elastic groups as ViPNAS has them: ResNet's bottleneck and MobileNetV3's inverted residual."""

from __future__ import annotations

from typing import Any, NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.graph import GATE, HSWISH, RELU, SOFTMAX, Feature, Graph
from litepose_nas.blocks.groups import LaneGroups
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow, linear, move, norm


class GroupedBottleneck(NamedTuple):
    """1x1, grouped KxK, 1x1, all equally wide and in lanes (see groups.py), then a global context."""

    groups_min: int
    lanes_per_group: int
    group_split: int
    lane_split: int
    cin: int
    mid: int  # channels of a lane
    cout: int
    kernel: int
    stride: int
    project: bool  # what is added passes a 1x1 convolution; where it does not, the stride is 1 and cin is cout
    hidden: int  # channels inside the global context; 0: there is none

    @property
    def grouping(self) -> LaneGroups:
        return LaneGroups(self.groups_min, self.lanes_per_group, self.group_split, self.lane_split)

    def ops(self, h: int, w: int) -> list[Op]:
        """The input stays in memory until it is added or projected."""
        _, h2, w2 = self.out(h, w)
        mid, out = self.grouping.lanes * self.mid, self.cout * h2 * w2
        spatial = conv(h, w, mid, mid, self.kernel, self.stride, self.grouping.groups)
        steps = [
            Step("reduced", mid * h * w, conv(h, w, self.cin, mid, 1), (0,)),
            Step("spatial", mid * h2 * w2, spatial, ("reduced",)),
            Step("restored", out, conv(h2, w2, mid, self.cout, 1, act=False), ("spatial",)),
        ]
        steps += context("restored", self.cout, self.hidden, h2, w2)
        result, added = steps[-1].makes, 0  # type: str, str | int
        if self.project:
            steps.append(Step("projected", out, conv(h, w, self.cin, self.cout, 1, self.stride, act=False), (0,)))
            added = "projected"
        return flow([*steps, Step("over", 0, COPY._replace(act_elements=out, activation=RELU), (result, added))])

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        mid = self.grouping.lanes * self.mid
        y = graph.conv_bn(x, "reduce", mid, act=RELU)
        y = graph.conv_bn(y, "spatial", mid, self.kernel, self.stride, self.grouping.groups, RELU)
        y = emit_context(graph, graph.conv_bn(y, "restore", self.cout), "context", self.hidden)
        return graph.add(y, graph.conv_bn(x, "project", self.cout, 1, self.stride) if self.project else x, RELU)

    def build(self) -> Module:
        from litepose_nas.blocks.grouped_torch import GroupedBottleneckModule

        return GroupedBottleneckModule(self)

    def store(self) -> Module:
        """Its spatial weight joins all lanes of each of the fewest groups."""
        return self._replace(group_split=1, lane_split=1).build()


class GroupedInvertedResidual(NamedTuple):
    """1x1 up, grouped KxK, a gate for every channel, 1x1 down.

    Groups have a fixed size: a narrower block has fewer groups, a finer one parts of them.

    A lane is one channel here (see groups.py).
    """

    groups_min: int  # the number of the largest groups, which follows from the width inside
    lanes_per_group: int
    group_split: int
    cin: int
    cout: int
    kernel: int
    stride: int
    residual: bool
    expands: bool  # otherwise there is no 1x1 up, and the width inside is cin
    hswish: bool  # otherwise ReLU
    hidden: int  # channels inside the gate; 0: there is none

    @property
    def grouping(self) -> LaneGroups:
        return LaneGroups(self.groups_min, self.lanes_per_group, self.group_split, 1)

    @property
    def activation(self) -> str:
        return HSWISH if self.hswish else RELU

    def ops(self, h: int, w: int) -> list[Op]:
        """The input stays in memory where it is added at the end."""
        _, h2, w2 = self.out(h, w)
        mid, act, steps, x = self.grouping.lanes, self.activation, [], 0  # type: int, str, list[Step], str | int
        if self.expands:
            expanded = conv(h, w, self.cin, mid, 1, activation=act)
            steps, x = [Step("expanded", mid * h * w, expanded, (0,))], "expanded"
        spatial = conv(h, w, mid, mid, self.kernel, self.stride, self.grouping.groups, activation=act)
        steps.append(Step("spatial", mid * h2 * w2, spatial, (x,)))
        steps += gate("spatial", mid, self.hidden, h2, w2)
        down = conv(h2, w2, mid, self.cout, 1, act=False)
        steps.append(Step("result", self.cout * h2 * w2, down, (steps[-1].makes,)))
        return flow([*steps, Step("over", 0, COPY, (0, "result"))] if self.residual else steps)

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def emit(self, graph: Graph, x: Feature) -> Feature:
        mid, act = self.grouping.lanes, self.activation
        y = graph.conv_bn(x, "expand", mid, act=act) if self.expands else x
        y = graph.conv_bn(y, "spatial", mid, self.kernel, self.stride, self.grouping.groups, act)
        y = graph.conv_bn(emit_gate(graph, y, "gate", self.hidden), "project", self.cout)
        return graph.add(x, y) if self.residual else y

    def build(self) -> Module:
        from litepose_nas.blocks.grouped_torch import GroupedInvertedResidualModule

        return GroupedInvertedResidualModule(self)

    def store(self) -> Module:
        """Its spatial weight has the largest groups."""
        return self._replace(group_split=1).build()


# Small attention inside a block: a hidden width of 0 switches it off. It may be a column of numbers, as when a whole
# search round is priced at once: then the steps stay and count nothing where they are off.


def context(x: str, channels: Any, hidden: Any, h: int, w: int) -> list[Step]:
    """The flow of a global context (GCNet, 2019) of a feature; the last step makes the new feature.

    Positions are weighed by a softmax and summed, not multiplied as matrices: the sum counts no MACs.
    """
    if _off(hidden):
        return []
    on, size = hidden > 0, channels * h * w
    mask = conv(h, w, channels, 1, 1, norm=False, act=False, bias=True)
    down = linear(1, channels, hidden)._replace(act_elements=hidden, activation=RELU)
    up = linear(1, hidden, channels, bias=False)
    weights = move(h * w * on, h * w * on)._replace(activation=SOFTMAX)
    return [
        Step("logits", h * w, _times(mask, on), (x,)),
        Step("weights", h * w, weights, ("logits",)),
        Step("weighed", size, move(size * on, size * on), (x, "weights")),
        Step("context", channels, move(size * on, channels * on), ("weighed",)),
        Step("squeezed", hidden, down, ("context",)),
        Step("normed", hidden, norm(hidden), ("squeezed",)),
        Step("found", channels, up._replace(params=up.params + channels * on), ("normed",)),
        Step("attended", size, move(size * on, size * on), (x, "found")),
    ]


def gate(x: str, channels: Any, hidden: Any, h: int, w: int) -> list[Step]:
    """The flow of squeeze and excitation (2018) of a feature; the last step makes the new feature."""
    if _off(hidden):
        return []
    on, size = hidden > 0, channels * h * w
    down = linear(1, channels, hidden)._replace(act_elements=hidden, activation=RELU)
    up = linear(1, hidden, channels, bias=False)._replace(activation=GATE)
    return [
        Step("mean", channels, move(size * on, channels * on), (x,)),
        Step("squeezed", hidden, down, ("mean",)),
        Step("gate", channels, up._replace(params=up.params + channels * on), ("squeezed",)),
        Step("attended", size, move(size * on, size * on), (x, "gate")),
    ]


def emit_context(graph: Graph, x: Feature, path: str, hidden: int) -> Feature:
    """The feature with its global context added."""
    if not hidden:
        return x
    found = graph.total(graph.mul(x, graph.softmax(graph.conv(x, f"{path}.mask", 1, bias=True))))
    found = graph.layer_norm(graph.linear(found, f"{path}.down", hidden), f"{path}.norm", RELU)
    return graph.add(x, graph.linear(found, f"{path}.up", x.shape[0]))


def emit_gate(graph: Graph, x: Feature, path: str, hidden: int) -> Feature:
    """The feature with every channel gated."""
    if not hidden:
        return x
    found = graph.linear(graph.mean(x), f"{path}.down", hidden, RELU)
    return graph.mul(x, graph.linear(found, f"{path}.up", x.shape[0], GATE))


def _off(hidden: Any) -> bool:
    return isinstance(hidden, int) and not hidden


def _times(op: Op, on: Any) -> Op:
    return op._replace(macs=op.macs * on, params=op.params * on)
