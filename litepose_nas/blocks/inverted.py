"""MobileNetV3's inverted residual as ViPNAS has it: 1x1 up, grouped KxK, a gate for every channel, 1x1 down."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape, ceil_div
from litepose_nas.blocks.gates import gate
from litepose_nas.blocks.groups import LaneGroups
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow


class GroupedInvertedResidual(NamedTuple):
    """An inverted residual with groups of a fixed size: a narrower one has fewer groups, a finer one parts of them.

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

    def ops(self, h: int, w: int) -> list[Op]:
        """The input stays in memory where it is added at the end."""
        _, h2, w2 = self.out(h, w)
        mid, steps, x = self.grouping.lanes, [], 0  # type: int, list[Step], str | int
        if self.expands:
            steps, x = [Step("expanded", mid * h * w, conv(h, w, self.cin, mid, 1), (0,))], "expanded"
        spatial = conv(h, w, mid, mid, self.kernel, self.stride, self.grouping.groups)
        steps.append(Step("spatial", mid * h2 * w2, spatial, (x,)))
        steps += gate("spatial", mid, self.hidden, h2, w2)
        down = conv(h2, w2, mid, self.cout, 1, act=False)
        steps.append(Step("result", self.cout * h2 * w2, down, (steps[-1].makes,)))
        return flow([*steps, Step("over", 0, COPY, (0, "result"))] if self.residual else steps)

    def out(self, h: int, w: int) -> Shape:
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def build(self) -> Module:
        from litepose_nas.blocks.inverted_torch import GroupedInvertedResidualModule

        return GroupedInvertedResidualModule(self)

    def store(self) -> Module:
        """Its spatial weight has the largest groups."""
        return self._replace(group_split=1).build()
