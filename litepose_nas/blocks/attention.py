"""Blocks of attention and a feed-forward net: between positions, everywhere or inside windows, and between channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks import ceil_div
from litepose_nas.blocks.ops import COPY, Op, Step, attention, flow, linear, norm

if TYPE_CHECKING:
    from torch import nn


class SpatialAttention(NamedTuple):
    """Attention between positions, then a feed-forward net, each added to what came in."""

    dim: int
    heads: int
    width: int  # channels of a head
    hidden: int  # of the feed-forward net
    window: int  # positions meet inside squares of this side, padded with zeros; 0: everywhere
    scale: int  # scores are divided by its root: one number for a space, or narrow heads would not lie inside wide ones
    normed: bool = True  # layer normalisation before each half; it weighs all channels, so widths do not nest behind it

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the operations; padded positions attend and are attended to."""
        rows, columns = (ceil_div(h, self.window), ceil_div(w, self.window)) if self.window else (1, 1)
        side = (self.window, self.window) if self.window else (h, w)
        each, count = side[0] * side[1], rows * columns
        products = attention(each, each, self.width, self.width)
        products = products._replace(macs=count * self.heads * products.macs)
        return flow(_steps(self, h * w, count * each, products, cut=count > 1, copied=self.heads > 1))

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, that of the input."""
        return self.dim, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import attention as layers

        return layers.SpatialAttention(*self)


class ChannelAttention(NamedTuple):
    """Attention between the channels of each head over all positions (DaViT, 2022), then a feed-forward net."""

    dim: int
    heads: int
    width: int  # channels of a head; the same in a whole space, for every channel takes part in every other's softmax
    hidden: int
    scale: int
    normed: bool = True

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the operations."""
        products = attention(self.width, self.width, h * w, h * w)
        products = products._replace(macs=self.heads * products.macs)
        return flow(_steps(self, h * w, h * w, products, cut=False, copied=False))

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape, that of the input."""
        return self.dim, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        from litepose_nas.layers import attention as layers

        return layers.ChannelAttention(*self)


def _steps(
    block: SpatialAttention | ChannelAttention, tokens: int, padded: int, products: Op, *, cut: bool, copied: bool
) -> list[Step]:
    """Return the flow that both kinds share.

    `padded` counts the tokens in windows; `cut`: there are several windows; `copied`: results are put side by side.
    """
    dim, inner = block.dim, block.heads * block.width
    steps: list[Step] = []
    x: int | str = 0
    if block.normed:
        steps.append(Step("normed", dim * tokens, norm(dim), (x,)))
        x = "normed"
    if padded > tokens:
        steps.append(Step("padded", dim * padded, COPY, (x,)))
        x = "padded"
    if cut:
        steps.append(Step("windows", dim * padded, COPY, (x,)))
        x = "windows"
    steps += [
        Step("qkv", 3 * inner * padded, linear(padded, dim, 3 * inner), (x,)),
        Step("found", inner * padded, products, ("qkv",)),
    ]
    found = "found"
    if copied:
        steps.append(Step("heads", inner * padded, COPY, (found,)))
        found = "heads"
    steps.append(Step("mixed", dim * padded, linear(padded, inner, dim), (found,)))
    found = "mixed"
    if cut:
        steps.append(Step("joined", dim * padded, COPY, (found,)))
        found = "joined"
    if padded > tokens:
        steps.append(Step("cropped", dim * tokens, COPY, (found,)))
        found = "cropped"
    steps.append(Step("over", 0, COPY, (0, found)))
    x = found
    if block.normed:
        steps.append(Step("normed again", dim * tokens, norm(dim), (x,)))
        x = "normed again"
    return [
        *steps,
        Step("hidden", block.hidden * tokens, linear(tokens, dim, block.hidden), (x,)),
        Step("result", dim * tokens, linear(tokens, block.hidden, dim), ("hidden",)),
        Step("over again", 0, COPY, (found, "result")),
    ]
