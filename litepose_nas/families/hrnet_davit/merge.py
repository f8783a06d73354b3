"""Ways to merge a feature of a side branch into the main one, which keeps its size and width."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow


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

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.merge_torch import AddMergeModule

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
                Step("gate", size, COPY, ("theirs",)),
                Step("projected", size, project, (1,)),
                Step("weighed", 0, COPY, ("gate", "projected")),
                Step("over again", 0, COPY, (0, "projected")),
            ]
        )

    def out(self, h: int, w: int) -> Shape:
        return self.width, h, w

    def build(self) -> Module:
        from litepose_nas.families.hrnet_davit.merge_torch import GateMergeModule

        return GateMergeModule(self)
