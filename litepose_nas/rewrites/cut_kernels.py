"""Depthwise kernels above 5x5 are cut into pieces, whose outputs are added.

XNNPACK, which LiteRT and ExecuTorch run on, has fast code for depthwise kernels of at most 25 weights.
"""

from __future__ import annotations

import copy
from itertools import product

from torch import Tensor, nn
from torch.nn import functional as F

LARGEST = 5


class CutConv2d(nn.Module):
    """A depthwise convolution; each piece of its kernel reads its own window of the padded input."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        assert conv.padding_mode == "zeros"
        assert conv.dilation == (1, 1)
        assert not isinstance(conv.padding, str)
        self.stride, self.groups, self.bias = conv.stride, conv.groups, conv.bias
        vertical, horizontal = conv.padding
        self.padding = [horizontal, horizontal, vertical, vertical]
        height, width = conv.kernel_size
        self.lost = height - 1, width - 1  # rows and columns of the padded input that are no place of the kernel
        self.windows = list(product(_cuts(height), _cuts(width)))
        weight = conv.weight.detach()
        self.weights = nn.ParameterList(weight[:, :, rows, columns].contiguous() for rows, columns in self.windows)

    def forward(self, image: Tensor) -> Tensor:
        image = F.pad(image, self.padding)
        height, width = (size - lost for size, lost in zip(image.shape[2:], self.lost, strict=True))
        total: Tensor | None = None
        for (rows, columns), weight in zip(self.windows, self.weights, strict=True):
            window = image[:, :, rows.start : rows.stop - 1 + height, columns.start : columns.stop - 1 + width]
            bias = self.bias if total is None else None
            piece = F.conv2d(window, weight, bias, self.stride, groups=self.groups)
            total = piece if total is None else total + piece
        assert total is not None
        return total


def with_cut_kernels(net: nn.Module) -> nn.Module:
    """A copy in which no depthwise convolution has a kernel above 5x5."""
    net = copy.deepcopy(net)
    for path, module in list(net.named_modules()):
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels and _large(module):
            parent, _, name = path.rpartition(".")
            setattr(net.get_submodule(parent), name, CutConv2d(module))
    return net


def _large(conv: nn.Conv2d) -> bool:
    return max(conv.kernel_size) > LARGEST


def _cuts(size: int) -> list[slice]:
    return [slice(begin, min(begin + LARGEST, size)) for begin in range(0, size, LARGEST)]
