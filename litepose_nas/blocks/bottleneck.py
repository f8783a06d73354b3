"""ResNet's bottleneck as ViPNAS has it: 1x1, grouped KxK, 1x1, all equally wide, then a global context."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.gates import context
from litepose_nas.blocks.groups import LaneGroups
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow


class GroupedBottleneck(NamedTuple):
    """A bottleneck; inside, channels come in lanes (see groups.py), outside they are plain."""

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
        return flow([*steps, Step("over", 0, COPY._replace(act_elements=out), (result, added))])

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def build(self) -> Module:
        from litepose_nas.blocks.bottleneck_torch import GroupedBottleneckModule

        return GroupedBottleneckModule(self)

    def store(self) -> Module:
        """Its spatial weight joins all lanes of each of the fewest groups."""
        return self._replace(group_split=1, lane_split=1).build()
