"""A depthwise convolution that passes its kernel through a learned map (once-for-all's kernel transform, 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class MappedDepthwise(nn.Conv2d):
    """A depthwise convolution with one map for each of the given kernel sizes; it uses the one of its own size."""

    def __init__(self, channels: int, kernel: int, stride: int, maps: Sequence[int]):
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
        self.maps = nn.ModuleDict({str(size): _identity(size * size) for size in maps})

    def plain_weights(self) -> dict[str, Tensor]:
        """The weight of the plain convolution that does the same."""
        size = str(self.kernel_size[0])
        if size not in self.maps:
            return {"weight": self.weight}
        return {"weight": self.maps[size](self.weight.flatten(1)).view_as(self.weight)}

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.plain_weights()["weight"], None)


def _identity(size: int) -> nn.Linear:
    """A map that starts as the plain middle of the larger kernel."""
    linear = nn.Linear(size, size)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
