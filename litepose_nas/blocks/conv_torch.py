"""What modules of convolutions are made of, and the inverted bottleneck."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from litepose_nas.blocks.depthwise_torch import DepthwiseConv, depthwise_conv

if TYPE_CHECKING:
    from litepose_nas.blocks.conv import MBConv


def conv_bn(conv: nn.Module, channels: int, act: nn.Module | None = None) -> nn.Sequential:
    parts = OrderedDict(conv=conv, bn=nn.BatchNorm2d(channels))
    return nn.Sequential(parts if act is None else OrderedDict(**parts, act=act))


def dense(cin: int, cout: int, kernel: int = 1, stride: int = 1) -> nn.Conv2d:
    """A padded convolution without bias."""
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)


def spread(weight: Tensor, std: float) -> None:
    """Fill a weight with evenly drawn numbers of this deviation.

    Even, not normal, as torch's own convolutions have them: on the meta device, where windows are made, normal ones
    would first load torch's compiler.
    """
    nn.init.uniform_(weight, -std * 3**0.5, std * 3**0.5)


def lying_as(x: Tensor, y: Tensor) -> Tensor:
    """y in the memory format of x; the next convolution would else choose its own by how its weights lie."""
    return y.contiguous(memory_format=torch.channels_last) if x.stride(1) == 1 else y


class MappedDepthwise(DepthwiseConv):
    """A depthwise convolution that passes its kernel through a learned map (once-for-all's kernel transform, 2020).

    It has one map for each of the given kernel sizes, and uses the one of its own size.
    """

    def __init__(self, channels: int, kernel: int, stride: int, maps: Sequence[int]):
        super().__init__(channels, kernel, stride)
        self.maps = nn.ModuleDict({str(size): _identity(size * size) for size in maps})

    def plain_weights(self) -> dict[str, Tensor]:
        """The weight of the plain convolution that does the same."""
        size = str(self.kernel_size[0])
        if size not in self.maps:
            return {"weight": self.weight}
        return {"weight": self.maps[size](self.weight.flatten(1)).view_as(self.weight)}

    def forward(self, x: Tensor) -> Tensor:
        weight = self.plain_weights()["weight"]
        return depthwise_conv(x, weight, self.stride[0]) if self.training else self._conv_forward(x, weight, None)


def _identity(size: int) -> nn.Linear:
    """A map that starts as the plain middle of the larger kernel."""
    linear = nn.Linear(size, size)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class MBConvModule(nn.Module):
    """An inverted bottleneck with ReLU6; `maps` are the kernel sizes for which it has a learned map."""

    def __init__(self, block: MBConv, maps: Iterable[int] = ()):
        super().__init__()
        cin, mid, cout, maps = block.cin, block.mid, block.cout, tuple(maps)
        self.residual = block.residual
        if maps:
            middle: nn.Module = MappedDepthwise(mid, block.kernel, block.stride, maps)
        else:
            middle = DepthwiseConv(mid, block.kernel, block.stride)
        self.expand = conv_bn(dense(cin, mid), mid, nn.ReLU6(inplace=True))
        self.dw = conv_bn(middle, mid, nn.ReLU6(inplace=True))
        self.project = conv_bn(dense(mid, cout), cout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.dw(self.expand(x)))
        return x + y if self.residual else y
