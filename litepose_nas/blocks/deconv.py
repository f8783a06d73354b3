"""Blocks of a plain heatmap head: a deconv that doubles the size, and the 1x1 convolution that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks.ops import COPY, Op, Step, conv, deconv, flow

if TYPE_CHECKING:
    from torch import nn


class Deconv(NamedTuple):
    """A deconv of stride 2 with an even kernel, normalised and activated."""

    cin: int
    cout: int
    kernel: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the deconv, which is counted on its input grid."""
        return [deconv(h, w, self.cin, self.cout, self.kernel, norm=True, act=True, inputs=(0,))]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, twice the input."""
        return self.cout, 2 * h, 2 * w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import deconv as layers

        return layers.Deconv(*self)


class Answer(NamedTuple):
    """A 1x1 convolution with a bias and nothing behind it."""

    cin: int
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the convolution."""
        return [conv(h, w, self.cin, self.cout, 1, norm=False, act=False, bias=True, inputs=(0,))]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, that of the input."""
        return self.cout, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import deconv as layers

        return layers.Answer(*self)


class GroupDeconv(NamedTuple):
    """A deconv of stride 2 of lanes in few x split x inner groups (blocks/groups.py), normalised and activated."""

    few: int
    fine: int
    split: int
    inner: int
    cin: int  # channels of a lane
    cout: int
    kernel: int
    plain: bool  # what comes in is not in lanes: its channel c is dealt to lane c % lanes, once for the whole head

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the deconv, and the copy that puts the channels of a lane side by side."""
        lanes, steps, x = self.few * self.fine, [], 0  # type: int, list[Step], str | int
        cin, cout = lanes * self.cin, lanes * self.cout
        if self.plain:
            steps, x = [Step("dealt", cin * h * w, COPY, (0,))], "dealt"
        op = deconv(h, w, cin, cout, self.kernel, self.few * self.split * self.inner, norm=True, act=True)
        return flow([*steps, Step("result", 4 * cout * h * w, op, (x,))])

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, twice the input."""
        return self.few * self.fine * self.cout, 2 * h, 2 * w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import deconv as layers

        return layers.GroupDeconv(*self)

    def store(self) -> nn.Module:
        """Return the module that a supernet keeps: its weight joins all lanes of each of the few groups."""
        return self._replace(split=1, inner=1).build()


class LaneAnswer(NamedTuple):
    """A 1x1 convolution out of lanes, with a bias and nothing behind it."""

    lanes: int
    cin: int  # channels of a lane
    cout: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the convolution."""
        cin = self.lanes * self.cin
        return [conv(h, w, cin, self.cout, 1, norm=False, act=False, bias=True, inputs=(0,))]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, that of the input."""
        return self.cout, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import groups as layers

        return layers.LanePointwise((self.cout,), (self.lanes, self.cin), bias=True)
