"""Grouped deconvs of a light heatmap head, alone or behind a 1x1 convolution (after LEViTPose, 2024)."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import Module, Shape
from litepose_nas.blocks.ops import COPY, Op, Step, conv, deconv, flow, maybe


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
            steps, reads = [Step("grouped", self.cin * h * w, COPY, (reads,))], "grouped"
        op = deconv(h, w, self.cin, self.cout, self.kernel, self.groups, norm=True, act=True)
        steps.append(Step("result", 4 * self.cout * h * w, op, (reads,)))
        if maybe((self.groups > 1) & (self.groups < self.cout)):
            steps.append(Step("interleaved", 4 * self.cout * h * w, COPY, ("result",)))
        return steps

    def out(self, h: int, w: int) -> Shape:
        return self.cout, 2 * h, 2 * w

    def build(self) -> Module:
        """The module has one small weight for each group."""
        from litepose_nas.blocks.light_head_torch import InterleavedDeconvModule

        return InterleavedDeconvModule(self)

    def store(self) -> Module:
        """The module with a weight between all channels."""
        return self._replace(groups=1).build()


class LightDeconv(NamedTuple):
    """A 1x1 convolution to the new width, then a grouped deconv of that width."""

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

    def build(self) -> Module:
        from litepose_nas.blocks.light_head_torch import LightDeconvModule

        return LightDeconvModule(self)

    def store(self) -> Module:
        """The module with a weight between all channels of the deconv."""
        return self._replace(groups=1).build()
