"""Grouped deconvs of a light heatmap head, alone or behind a 1x1 convolution (after LEViTPose, 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks.ops import COPY, Op, Step, conv, deconv, flow, maybe

if TYPE_CHECKING:
    from torch import nn


class InterleavedDeconv(NamedTuple):
    """A deconv of stride 2 with an even kernel, normalised and activated; channel c is in group c % groups."""

    cin: int
    cout: int
    kernel: int
    groups: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the deconv, and the copies that put the channels of a group side by side and back."""
        return flow(_deconv(0, h, w, *self))

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, twice the input."""
        return self.cout, 2 * h, 2 * w

    def build(self) -> nn.Module:
        """Return the module, with one small weight for each group."""
        from litepose_nas.layers import light_head as layers

        return layers.InterleavedDeconv(*self)

    def store(self) -> nn.Module:
        """Return the module that a supernet keeps: a weight between all channels."""
        return self._replace(groups=1).build()


class LightDeconv(NamedTuple):
    """A 1x1 convolution to the new width, then a grouped deconv of that width."""

    cin: int
    cout: int
    kernel: int
    groups: int

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the convolution and the deconv."""
        lift = Step("lifted", self.cout * h * w, conv(h, w, self.cin, self.cout, 1), (0,))
        return flow([lift, *_deconv("lifted", h, w, self.cout, self.cout, self.kernel, self.groups)])

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, twice the input."""
        return self.cout, 2 * h, 2 * w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import light_head as layers

        return layers.LightDeconv(*self)

    def store(self) -> nn.Module:
        """Return the module that a supernet keeps: a weight between all channels of the deconv."""
        return self._replace(groups=1).build()


def _deconv(reads: int | str, h: int, w: int, cin: int, cout: int, kernel: int, groups: int) -> list[Step]:
    steps: list[Step] = []
    if maybe((groups > 1) & (groups < cin)):
        steps, reads = [Step("grouped", cin * h * w, COPY, (reads,))], "grouped"
    op = deconv(h, w, cin, cout, kernel, groups, norm=True, act=True)
    steps.append(Step("result", 4 * cout * h * w, op, (reads,)))
    if maybe((groups > 1) & (groups < cout)):
        steps.append(Step("interleaved", 4 * cout * h * w, COPY, ("result",)))
    return steps
