"""MobileNetV3's inverted residual as ViPNAS has it: 1x1 up, grouped KxK, a gate for every channel, 1x1 down."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks import ceil_div
from litepose_nas.blocks.gates import gate
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow

if TYPE_CHECKING:
    from torch import nn


class InvertedResidual(NamedTuple):
    """An inverted residual with groups of a fixed size: a narrower one has fewer groups, a finer one parts of them."""

    few: int  # the largest groups; their number follows from the width inside
    fine: int  # channels of each
    split: int  # groups made of each
    cin: int
    cout: int
    kernel: int
    stride: int
    residual: bool
    expands: bool  # otherwise there is no 1x1 up, and the width inside is cin
    smooth: bool  # h-swish; otherwise ReLU
    hidden: int  # channels inside the gate; 0: there is none

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the operations; the input stays in memory where it is added at the end."""
        _, h2, w2 = self.out(h, w)
        mid, steps, x = self.few * self.fine, [], 0  # type: int, list[Step], str | int
        if self.expands:
            steps, x = [Step("expanded", mid * h * w, conv(h, w, self.cin, mid, 1), (0,))], "expanded"
        spatial = conv(h, w, mid, mid, self.kernel, self.stride, self.few * self.split)
        steps.append(Step("spatial", mid * h2 * w2, spatial, (x,)))
        steps += gate("spatial", mid, self.hidden, h2, w2)
        down = conv(h2, w2, mid, self.cout, 1, act=False)
        steps.append(Step("result", self.cout * h2 * w2, down, (steps[-1].makes,)))
        return flow([*steps, Step("over", 0, COPY, (0, "result"))] if self.residual else steps)

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape."""
        return self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import inverted as layers

        return layers.InvertedResidual(*self)

    def store(self) -> nn.Module:
        """Return the module that a supernet keeps: its spatial weight has the largest groups."""
        return self._replace(split=1).build()
