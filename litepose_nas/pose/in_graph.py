"""What stands around a network in an exported file: pictures of bytes in front of it, joints behind it.

`forward` takes its arguments as that of a network does, for exporters look at how they are named.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litepose_nas.data.augment import Size
from litepose_nas.data.pixels import named_pixels
from litepose_nas.pose.codecs import decode_heatmaps, named_codec


class Decoded(nn.Module):
    """A top-down network that answers with joints (N, J, 3): x, y in pixels of its input, and the heatmap's value."""

    def __init__(self, net: nn.Module, codec: str, size: Size):
        super().__init__()
        self.net, self.codec, self.size = net, named_codec(codec), size

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        (heatmaps,) = self.net(*inputs)
        joints = decode_heatmaps(heatmaps, self.size, self.codec)
        return (joints * (joints[..., 2:] > 0),)  # zeros where a heatmap is nowhere above zero, as in `people`


class FromBytes(nn.Module):
    """A network that takes red, green and blue bytes (N, height, width, 3)."""

    def __init__(self, net: nn.Module, pixels: str):
        super().__init__()
        convention = named_pixels(pixels)
        self.net, self.blue_first = net, convention.bgr
        mean, std = (torch.tensor(values)[:, None, None] for values in (convention.mean, convention.std))
        self.scale, self.shift = 1 / (255 * std), -mean / std

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (images,) = inputs
        planes = images.permute(0, 3, 1, 2).float() * self.scale + self.shift
        return tuple(self.net(planes.flip(1) if self.blue_first else planes))
