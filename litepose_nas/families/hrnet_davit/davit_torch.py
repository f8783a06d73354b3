"""DaViT: features are (batch, channels, height, width) between blocks, tokens inside them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks import windows_torch as windows

if TYPE_CHECKING:
    from litepose_nas.families.hrnet_davit.davit import ChannelBlock, LayerNorm2d, PatchEmbed, PatchStem, WindowBlock


def tokens_of(x: Tensor) -> Tensor:
    """A feature as tokens (batch, height x width, channels)."""
    return x.flatten(2).transpose(1, 2)


def feature_of(tokens: Tensor, like: Tensor) -> Tensor:
    return tokens.transpose(1, 2).unflatten(2, like.shape[2:])


class LayerNorm2dModule(nn.Module):
    def __init__(self, block: LayerNorm2d):
        super().__init__()
        self.norm = nn.LayerNorm(block.dim)

    def forward(self, x: Tensor) -> Tensor:
        return feature_of(self.norm(tokens_of(x)), x)


class PatchStemModule(nn.Module):
    def __init__(self, block: PatchStem):
        super().__init__()
        self.conv = nn.Conv2d(3, block.dim, 7, 4, 3)
        self.norm = nn.LayerNorm(block.dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return feature_of(self.norm(tokens_of(x)), x)


class PatchConv(nn.Conv2d):
    """A convolution of stride 2; kernel 2 begins where the patch does, kernel 3 a pixel earlier."""

    def __init__(self, cin: int, cout: int, kernel: int):
        super().__init__(cin, cout, kernel, 2, kernel - 2)

    def window(self, key: str, big: Tensor) -> Tensor:
        """Where a tensor lives in one of kernel 3: in its last rows and columns, which see the same pixels."""
        for axis, size in enumerate(self.get_parameter(key).shape):
            big = big.narrow(axis, big.shape[axis] - size if axis > 1 else 0, size)
        return big


class PatchEmbedModule(nn.Module):
    def __init__(self, block: PatchEmbed):
        super().__init__()
        self.norm = nn.LayerNorm(block.cin)
        self.conv = PatchConv(block.cin, block.dim, block.kernel)

    def forward(self, x: Tensor) -> Tensor:
        """The feature at half the size, rounded up."""
        x = feature_of(self.norm(tokens_of(x)), x)
        right, down = x.shape[3] % 2, x.shape[2] % 2
        if self.conv.kernel_size[0] == 2 and (right or down):
            x = F.pad(x, (0, right, 0, down))
        return self.conv(x)


class ChannelBlockModule(nn.Module):
    """Attention between the channels of each head and a feed-forward net, each added to what came in."""

    def __init__(self, block: ChannelBlock | WindowBlock):
        super().__init__()
        dim, inner = block.dim, block.inner
        self.width = block.width
        self.place1, self.place2 = (nn.Conv2d(dim, dim, 3, padding=1, groups=dim) for _ in range(2))
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        # Queries, keys and values on an axis of their own: in one axis with the channels, values of a wide network
        # would be keys of a narrow one.
        self.qkv = nn.Parameter(torch.empty(3, inner, dim))
        self.qkv_bias = nn.Parameter(torch.zeros(3, inner))
        self.out = nn.Linear(inner, dim)
        up, down = nn.Linear(dim, block.hidden), nn.Linear(block.hidden, dim)
        self.feed = nn.Sequential(OrderedDict(up=up, act=nn.GELU(), down=down))
        nn.init.normal_(self.qkv, std=dim**-0.5)

    def graph_weights(self) -> dict[str, Tensor]:
        return {"qkv.weight": self.qkv.flatten(0, 1), "qkv.bias": self.qkv_bias.flatten()}

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.place1(x)
        tokens = tokens_of(x)
        x = feature_of(tokens + self.mix(self.norm1(tokens), *x.shape[2:]), x)
        x = x + self.place2(x)
        tokens = tokens_of(x)
        return feature_of(tokens + self.feed(self.norm2(tokens)), x)

    def split(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values (batch, heads, tokens, width) of tokens (batch, tokens, channels)."""
        packed = F.linear(tokens, self.qkv.flatten(0, 1), self.qkv_bias.flatten())
        return packed.unflatten(2, (3, -1, self.width)).permute(2, 0, 3, 1, 4).unbind()

    def merge(self, found: Tensor) -> Tensor:
        """Tokens of what the heads found (batch, heads, tokens, width)."""
        return self.out(found.transpose(1, 2).flatten(2))

    def mix(self, tokens: Tensor, height: int, width: int) -> Tensor:
        q, k, v = self.split(tokens)
        # Written out: the scores are width x width, however large the picture; a fused kernel takes heads as wide as
        # there are positions for something else.
        scores = torch.matmul(q.transpose(2, 3), k) * self.width**-0.5
        return self.merge(torch.matmul(scores.softmax(-1), v.transpose(2, 3)).transpose(2, 3))


class WindowBlockModule(ChannelBlockModule):
    """The same with attention between the positions of each window."""

    def __init__(self, block: WindowBlock):
        super().__init__(block)
        self.side = block.window

    def mix(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """What attention adds; without a mask, so that padded positions are attended to like any other."""
        tokens = windows.cut(tokens.unflatten(1, (height, width)), self.side)
        q, k, v = self.split(tokens.flatten(1, 2))
        found = self.merge(F.scaled_dot_product_attention(q, k, v))
        return windows.join(found.unflatten(1, (self.side, self.side)), height, width).flatten(1, 2)
