"""ResNet's bottleneck as ViPNAS has it: 1x1, grouped KxK, 1x1, all equally wide, then a global context."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks import ceil_div
from litepose_nas.blocks.gates import context
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow

if TYPE_CHECKING:
    from torch import nn


class Bottleneck(NamedTuple):
    """A bottleneck; inside, channels come in few x fine lanes (blocks/groups.py), outside they are plain."""

    few: int
    fine: int
    split: int
    inner: int
    cin: int
    mid: int  # channels of a lane
    cout: int
    kernel: int
    stride: int
    project: bool  # what is added passes a 1x1 convolution; where it does not, the stride is 1 and cin is cout
    hidden: int  # channels inside the global context; 0: there is none

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the operations; the input stays in memory until it is added or projected."""
        _, h2, w2 = self.out(h, w)
        lanes, groups = self.few * self.fine, self.few * self.split * self.inner
        mid, out = lanes * self.mid, self.cout * h2 * w2
        spatial = conv(h, w, mid, mid, self.kernel, self.stride, groups)
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

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape."""
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import bottleneck as layers

        return layers.Bottleneck(*self)

    def store(self) -> nn.Module:
        """Return the module that a supernet keeps: its spatial weight joins all lanes of each of the few groups."""
        return self._replace(split=1, inner=1).build()
