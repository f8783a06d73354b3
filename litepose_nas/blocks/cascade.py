"""Cascaded group attention: each head sees its own part of the channels plus what the head before it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks import ceil_div
from litepose_nas.blocks.ops import COPY, Op, Step, attention, conv, flow, weights

if TYPE_CHECKING:
    from torch import nn


class CascadedAttention(NamedTuple):
    """Attention inside windows by heads in a cascade (EfficientViT, 2023), keys and values taken from a pooled feature.

    The feature has heads x chunk channels; head j works on channels j, j + heads, j + 2 heads, ...
    """

    dim: int
    heads: int
    chunk: int
    key: int  # channels of a head's queries and keys
    kernel: int  # of the depthwise convolution of the queries
    window: int
    pool: int  # keys and values are averages over this many positions squared
    scale: int  # scores are divided by its root: one number for a space, or narrow heads would not lie inside wide ones

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the operations of every head in turn, then the projection; padded positions are computed too."""
        side, keys_side = self.window, ceil_div(self.window, self.pool)
        count = ceil_div(h, side) * ceil_div(w, side)
        tokens, keys = count * side * side, count * keys_side * keys_side
        padded, split = (h % side or w % side), count > 1
        steps, x = [], 0  # type: list[Step], int | str
        if padded:
            steps, x = [Step("padded", self.dim * tokens, COPY, (x,))], "padded"
        if split:
            steps, x = [*steps, Step("windows", self.dim * tokens, COPY, (x,))], "windows"
        for j in range(self.heads):
            q, k, v, y, mixed, pooled = (f"{j}.{name}" for name in ("q", "k", "v", "y", "mixed", "pooled"))
            source: int | str = x
            if j > 0:
                steps.append(Step(mixed, self.chunk * tokens, COPY, (x, f"{j - 1}.y")))
                source = mixed
            reduced = source
            if self.pool > 1:
                steps.append(Step(pooled, self.chunk * keys, COPY, (source,)))
                reduced = pooled
            # A map of single positions or a depthwise one costs the same for a row of windows as for one wide picture.
            project = conv(tokens, 1, self.chunk, self.key, 1, act=False)
            depthwise = conv(tokens, 1, self.key, self.key, self.kernel, groups=self.key, act=False)
            products = attention(side * side, keys_side * keys_side, self.key, self.chunk)
            steps += [
                Step(f"{q}.0", self.key * tokens, project, (source,)),
                Step(q, self.key * tokens, depthwise, (f"{q}.0",)),
                Step(k, self.key * keys, conv(keys, 1, self.chunk, self.key, 1, act=False), (reduced,)),
                Step(v, self.chunk * keys, conv(keys, 1, self.chunk, self.chunk, 1, act=False), (reduced,)),
                Step(y, self.chunk * tokens, products._replace(macs=count * products.macs), (q, k, v)),
            ]
        joined = self.heads * self.chunk
        steps += [
            Step(
                "joined", joined * tokens, weights(self.heads * side * side), tuple(f"{j}.y" for j in range(self.heads))
            ),
            Step("projected", self.dim * tokens, conv(tokens, 1, joined, self.dim, 1, act=False), ("joined",)),
        ]
        if split:
            steps.append(Step("picture", self.dim * tokens, COPY, ("projected",)))
        if padded:
            steps.append(Step("cropped", self.dim * h * w, COPY, ("picture" if split else "projected",)))
        return flow(steps)

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, that of the input."""
        return self.dim, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import cascade as layers

        return layers.CascadedAttention(*self)
