"""A grouped convolution whose number of groups can be elastic."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks import ceil_div
from litepose_nas.blocks.ops import COPY, Op, Step, conv, flow

if TYPE_CHECKING:
    from torch import nn


class GroupConv(NamedTuple):
    """A convolution in few x split groups, normalised and activated; channel c is in group c % (few * split).

    `few` is the smallest number of groups in the space and has an axis; finer groups split each of those. A depthwise
    convolution has as many groups as channels.
    """

    few: int
    split: int
    cin: int  # input channels in each of the few groups
    cout: int
    kernel: int
    stride: int = 1

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the convolution, and the copies that put the channels of a group side by side and back."""
        groups, cin, cout = self.few * self.split, self.few * self.cin, self.few * self.cout
        _, h2, w2 = self.out(h, w)
        steps, source = [], 0  # type: list[Step], int | str
        if 1 < groups < cin:
            steps, source = [Step("grouped", cin * h * w, COPY, (0,))], "grouped"
        op = conv(h, w, cin, cout, self.kernel, self.stride, groups)
        steps.append(Step("result", cout * h2 * w2, op, (source,)))
        if 1 < groups < cout:
            steps.append(Step("interleaved", cout * h2 * w2, COPY, ("result",)))
        return flow(steps)

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape."""
        return self.few * self.cout, ceil_div(h, self.stride), ceil_div(w, self.stride)

    def build(self) -> nn.Module:
        """Return the module, with one small weight for each group."""
        from litepose_nas.layers import groups as layers

        return layers.GroupConv(*self)

    def store(self) -> nn.Module:
        """Return the module that a supernet keeps: a weight between all channels of each of the few groups."""
        from litepose_nas.layers import groups as layers

        return layers.GroupConv(*self._replace(split=1))
