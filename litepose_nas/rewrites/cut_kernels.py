"""Depthwise kernels of more than 25 weights are cut into pieces, whose outputs are added.

XNNPACK, which LiteRT and ExecuTorch run on, has fast code for depthwise kernels of at most 25 weights. A piece is rows
and columns at equal distances around the middle of the kernel, 3 x 7 weights three rows apart for instance: a dilated
convolution whose padding is the same on all sides, so that nothing is padded or copied for it. Windows side by side
would each need a copy, and took up to twice as long (benchmarks/export_cuts.py).
"""

from __future__ import annotations

import copy
from itertools import product
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

LARGEST = 25  # weights of a piece


class Taps(NamedTuple):
    """Rows or columns of a kernel."""

    first: int
    step: int
    number: int

    @property
    def places(self) -> range:
        return range(self.first, self.first + self.step * self.number, self.step)


class CutConv2d(nn.Module):
    """A depthwise convolution as several dilated ones."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        assert conv.padding_mode == "zeros"
        assert conv.dilation == (1, 1)
        assert not isinstance(conv.padding, str)
        self.kernel, self.stride, self.groups, self.bias = conv.kernel_size, conv.stride, conv.groups, conv.bias
        self.padding = conv.padding
        self.pieces = pieces(*conv.kernel_size)
        weight = conv.weight.detach()
        self.weights = nn.ParameterList(
            weight[:, :, rows.places][:, :, :, columns.places].contiguous() for rows, columns in self.pieces
        )

    def forward(self, image: Tensor) -> Tensor:
        total: Tensor | None = None
        for piece, weight in zip(self.pieces, self.weights, strict=True):
            made = self._piece(image, piece, weight, self.bias if total is None else None)
            total = made if total is None else total + made
        assert total is not None
        return total

    def _piece(self, image: Tensor, piece: tuple[Taps, Taps], weight: Tensor, bias: Tensor | None) -> Tensor:
        (top, bottom), (left, right) = (self._zeros(axis, piece[axis], image.shape[2 + axis]) for axis in (0, 1))
        spread, padding = (piece[0].step, piece[1].step), (top, left)
        # What is left over behind is less than a stride: the same padding on both sides makes no row more.
        ends = zip(padding, (bottom, right), self.stride, strict=True)
        if not all(before >= 0 and behind <= before < behind + stride for before, behind, stride in ends):
            image, padding = F.pad(image, (left, right, top, bottom)), (0, 0)
        return F.conv2d(image, weight, bias, self.stride, padding, spread, self.groups)

    def _zeros(self, axis: int, taps: Taps, size: int) -> tuple[int, int]:
        """How many zeros stand before and behind what a piece reads; below none, so much of the input is left out."""
        pad, stride = self.padding[axis], self.stride[axis]
        made = (size + 2 * pad - self.kernel[axis]) // stride + 1
        return pad - taps.first, (made - 1) * stride + taps.places[-1] - pad - (size - 1)


def with_cut_kernels(net: nn.Module) -> nn.Module:
    """A copy in which no depthwise convolution has more weights than are fast."""
    net = copy.deepcopy(net)
    for path, module in list(net.named_modules()):
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels and _large(module):
            parent, _, name = path.rpartition(".")
            setattr(net.get_submodule(parent), name, CutConv2d(module))
    return net


def pieces(height: int, width: int) -> list[tuple[Taps, Taps]]:
    """The fewest pieces; of as few, those with the longest rows."""
    ways = (
        list(product(_around_the_middle(height, high), _around_the_middle(width, LARGEST // high)))
        for high in range(min(2, height), min(LARGEST // min(2, width), height) + 1)  # a pair is symmetric, one is not
    )
    return min(ways, key=len)


def _around_the_middle(size: int, most: int) -> list[Taps]:
    """All places, in sets of at most so many at equal distances, each symmetric."""
    left, found = set(range(size)), []
    while left:
        ways = [
            Taps(first, step, count)
            for first in range((size + 1) // 2)
            for count in range(1, most + 1)
            for step in _steps(size - 1 - 2 * first, count)
            if left.issuperset(Taps(first, step, count).places)
        ]
        best = max(ways, key=lambda taps: (taps.number, -taps.first))
        found.append(best)
        left -= set(best.places)
    return found


def _steps(span: int, count: int) -> list[int]:
    """The distance at which so many places reach from the first to the last of a span."""
    if count == 1:
        return [1] if span == 0 else []
    return [span // (count - 1)] if span > 0 and span % (count - 1) == 0 else []


def _large(conv: nn.Conv2d) -> bool:
    height, width = conv.kernel_size
    return height * width > LARGEST
