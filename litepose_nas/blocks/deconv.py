"""Blocks of heatmap heads: deconvs that double the size, and the 1x1 convolutions whose output is the heatmaps."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape
from litepose_nas.blocks.graph import RELU, Feature, Graph
from litepose_nas.blocks.groups import LaneGroups
from litepose_nas.blocks.ops import COPY, UNTIMED, Op, Step, conv, deconv, flow, maybe


class Deconv(NamedTuple):
    """A deconv of stride 2 with an even kernel, normalised and activated."""

    cin: int
    cout: int
    kernel: int

    def ops(self, h: int, w: int) -> list[Op]:
        return [deconv(h, w, self.cin, self.cout, self.kernel, norm=True, act=True, inputs=(0,))]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, 2 * h, 2 * w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.deconv(x, "up.conv", self.cout, self.kernel, norm="up.bn", act=RELU)

    def build(self) -> Module:
        from litepose_nas.blocks.deconv_torch import DeconvModule

        return DeconvModule(self)


class HeatmapConv(NamedTuple):
    """A 1x1 convolution with a bias and nothing behind it."""

    cin: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        return [conv(h, w, self.cin, self.cout, 1, norm=False, act=False, bias=True, inputs=(0,))]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.conv(x, "conv", self.cout, bias=True)

    def build(self) -> Module:
        from litepose_nas.blocks.deconv_torch import HeatmapConvModule

        return HeatmapConvModule(self)


class GroupDeconv(NamedTuple):
    """A grouped deconv of stride 2 between lanes (see groups.py), normalised and activated."""

    groups_min: int
    lanes_per_group: int
    group_split: int
    lane_split: int
    cin: int  # channels of a lane
    cout: int
    kernel: int
    plain: bool  # what comes in is not in lanes: its channel c is dealt to lane c % lanes, once for the whole head

    @property
    def grouping(self) -> LaneGroups:
        return LaneGroups(self.groups_min, self.lanes_per_group, self.group_split, self.lane_split)

    def ops(self, h: int, w: int) -> list[Op]:
        lanes, steps, x = self.grouping.lanes, [], 0  # type: int, list[Step], str | int
        cin, cout = lanes * self.cin, lanes * self.cout
        if self.plain:  # a copy puts the channels of a lane side by side
            steps, x = [Step("dealt", cin * h * w, COPY, (0,))], "dealt"
        op = deconv(h, w, cin, cout, self.kernel, self.grouping.groups, norm=True, act=True)
        return flow([*steps, Step("result", 4 * cout * h * w, op, (x,))])

    def out(self, h: int, w: int) -> Shape:
        return self.grouping.lanes * self.cout, 2 * h, 2 * w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        lanes = self.grouping.lanes
        x = graph.deal(x, lanes) if self.plain else x
        return graph.deconv(x, "conv", lanes * self.cout, self.kernel, self.grouping.groups, "bn", RELU)

    def build(self) -> Module:
        from litepose_nas.blocks.deconv_torch import GroupDeconvModule

        return GroupDeconvModule(self)

    def store(self) -> Module:
        """Its weight joins all lanes of each of the fewest groups."""
        return self._replace(group_split=1, lane_split=1).build()


class LaneHeatmapConv(NamedTuple):
    """A 1x1 convolution out of lanes, with a bias and nothing behind it."""

    lanes: int
    cin: int  # channels of a lane
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        cin = self.lanes * self.cin
        return [conv(h, w, cin, self.cout, 1, norm=False, act=False, bias=True, inputs=(0,))]

    def out(self, h: int, w: int) -> Shape:
        return self.cout, h, w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        return graph.conv(x, "", self.cout, bias=True)

    def build(self) -> Module:
        from litepose_nas.blocks.groups_torch import LanePointwise

        return LanePointwise((self.cout,), (self.lanes, self.cin), bias=True)


class InterleavedDeconv(NamedTuple):
    """A deconv of stride 2 with an even kernel, normalised and activated; channel c is in group c % groups."""

    cin: int
    cout: int
    kernel: int
    groups: int

    def ops(self, h: int, w: int) -> list[Op]:
        return flow(self.steps(h, w))

    def steps(self, h: int, w: int, reads: int | str = 0) -> list[Step]:
        """Copies put the channels of a group side by side and back."""
        steps: list[Step] = []
        if maybe((self.groups > 1) & (self.groups < self.cin)):
            steps, reads = [Step("grouped", self.cin * h * w, UNTIMED, (reads,))], "grouped"
        op = deconv(h, w, self.cin, self.cout, self.kernel, self.groups, norm=True, act=True)
        steps.append(Step("result", 4 * self.cout * h * w, op, (reads,)))
        if maybe((self.groups > 1) & (self.groups < self.cout)):
            steps.append(Step("interleaved", 4 * self.cout * h * w, UNTIMED, ("result",)))
        return steps

    def out(self, h: int, w: int) -> Shape:
        return self.cout, 2 * h, 2 * w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        """The normalisation stands alone: what interleaves is between it and the deconv."""
        apart = self.groups > 1
        x = graph.deal(x, self.groups) if apart else x
        x = graph.deconv(x, "", self.cout, self.kernel, self.groups)
        return graph.batch_norm(graph.deal(x, self.cout // self.groups) if apart else x, "bn", RELU)

    def build(self) -> Module:
        """The module has one small weight for each group."""
        from litepose_nas.blocks.deconv_torch import InterleavedDeconvModule

        return InterleavedDeconvModule(self)

    def store(self) -> Module:
        """The module with a weight between all channels."""
        return self._replace(groups=1).build()


class LightDeconv(NamedTuple):
    """A 1x1 convolution to the new width, then a grouped deconv of that width (after LEViTPose, 2024)."""

    cin: int
    cout: int
    kernel: int
    groups: int

    @property
    def deconv(self) -> InterleavedDeconv:
        return InterleavedDeconv(self.cout, self.cout, self.kernel, self.groups)

    def ops(self, h: int, w: int) -> list[Op]:
        lift = Step("lifted", self.cout * h * w, conv(h, w, self.cin, self.cout, 1), (0,))
        return flow([lift, *self.deconv.steps(h, w, "lifted")])

    def out(self, h: int, w: int) -> Shape:
        return self.cout, 2 * h, 2 * w

    def emit(self, graph: Graph, x: Feature) -> Feature:
        x = graph.conv_bn(x, "lift", self.cout, act=RELU)
        with graph.inside("up"):
            return self.deconv.emit(graph, x)

    def build(self) -> Module:
        from litepose_nas.blocks.deconv_torch import LightDeconvModule

        return LightDeconvModule(self)

    def store(self) -> Module:
        """The module with a weight between all channels of the deconv."""
        return self._replace(groups=1).build()
