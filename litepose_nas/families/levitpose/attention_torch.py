"""Cascaded group attention, one module a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks import windows_torch as windows
from litepose_nas.blocks.conv_torch import conv_bn, dense, spread
from litepose_nas.blocks.depthwise_torch import DepthwiseConv

if TYPE_CHECKING:
    from litepose_nas.families.levitpose.attention import PooledCascade, WindowCascade


class WindowHead(nn.Module):
    """Queries, keys and values of one head; the queries pass a depthwise convolution."""

    def __init__(self, chunk: int, key: int, kernel: int, scale: int):
        super().__init__()
        self.scale = scale**-0.5
        self.q = conv_bn(dense(chunk, key), key)
        self.dw = conv_bn(DepthwiseConv(key, kernel), key)
        self.k = conv_bn(dense(chunk, key), key)
        self.v = conv_bn(dense(chunk, chunk), chunk)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """What this head found in windows (batch, chunk, height, width), with a bias for each query and key."""
        y = attend(self.dw(self.q(x)), self.k(x), self.v(x), bias, self.scale)
        return y.transpose(1, 2).unflatten(2, x.shape[2:])


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each position of a feature."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class PooledHead(nn.Module):
    """Queries of one head from every position, keys and values from averages; each normalised, then convolved."""

    def __init__(self, chunk: int, key: int, kernel: int, side: int):
        super().__init__()
        self.side = side
        self.q = nn.Sequential(dense(chunk, key), ChannelNorm(key), DepthwiseConv(key, kernel))
        self.reduce = nn.Sequential(dense(chunk, chunk), ChannelNorm(chunk))
        self.k = nn.Sequential(dense(chunk, key), ChannelNorm(key), DepthwiseConv(key, kernel))
        self.v = nn.Sequential(dense(chunk, chunk), ChannelNorm(chunk), DepthwiseConv(chunk, kernel))
        self.out = nn.Sequential(nn.Linear(chunk, chunk, bias=False), nn.LayerNorm(chunk))

    def forward(self, x: Tensor) -> Tensor:
        """What this head found in a feature (batch, chunk, height, width)."""
        side = min(self.side, x.shape[2]), min(self.side, x.shape[3])
        reduced = self.reduce(x if side == x.shape[2:] else F.adaptive_avg_pool2d(x, side))
        y = attend(self.q(x), self.k(reduced), self.v(reduced))
        return self.out(y).transpose(1, 2).unflatten(2, x.shape[2:])


class Projection(nn.Module):
    """A 1x1 convolution of all heads' results: heads and channels of a head have an axis each, for each can shrink."""

    def __init__(self, heads: int, chunk: int, cout: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cout, heads, chunk))
        self.bn = nn.BatchNorm2d(cout)
        spread(self.weight, (heads * chunk) ** -0.5)

    def graph_weights(self) -> dict[str, Tensor]:
        return {"weight": self.weight.flatten(1)[:, :, None, None]}

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(F.conv2d(x, self.graph_weights()["weight"]))


class WindowCascadeModule(nn.Module):
    """Heads in a cascade inside windows; their channels are interleaved, so that narrow nets lie inside wide ones."""

    def __init__(self, block: WindowCascade):
        super().__init__()
        self.side, self.chunk = block.window, block.chunk
        self.heads = nn.ModuleList(WindowHead(block.chunk, block.key, kernel, block.scale) for kernel in block.kernels)
        # By distance: a smaller window is the head of it.
        self.bias = nn.Parameter(torch.zeros(block.heads, block.window, block.window))
        self.project = Projection(block.heads, block.chunk, block.dim)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if height <= self.side and width <= self.side:
            return x + self.mix(x)
        cut = windows.cut(x.permute(0, 2, 3, 1), self.side).permute(0, 3, 1, 2)
        found = self.mix(cut).permute(0, 2, 3, 1)
        return x + windows.join(found, height, width).permute(0, 3, 1, 2)

    def mix(self, x: Tensor) -> Tensor:
        """What the heads find in windows (batch, dim, height, width)."""
        found: list[Tensor] = []
        for j, (head, bias) in enumerate(zip(self.heads, self.biases(*x.shape[-2:]), strict=True)):
            part = own_channels(x, j, len(self.heads), self.chunk)
            found.append(head(part + found[-1] if found else part, bias))
        return self.project(F.relu(torch.cat(found, 1)))

    def graph_weights_for(self, height: int, width: int) -> dict[str, Tensor]:
        """The biases of all places in a window, which depend on how large it is."""
        inside = max(height, width) <= self.side
        biases = self.biases(*((height, width) if inside else (self.side, self.side)))
        return {f"heads.{head}.bias.weight": bias for head, bias in enumerate(biases)}

    def biases(self, height: int, width: int) -> Tensor:
        """A bias for each head, query and key; worked out here, for a stored table of places cannot shrink."""
        down, right = (self._distances(size) for size in (height, width))
        return self.bias[:, down[:, None, :, None], right[None, :, None, :]].flatten(3, 4).flatten(1, 2)

    def _distances(self, size: int) -> Tensor:
        places = torch.arange(size, device=self.bias.device)
        return (places[:, None] - places).abs()


class PooledCascadeModule(nn.Module):
    """Heads in a cascade that attend to averages of the feature."""

    def __init__(self, block: PooledCascade):
        super().__init__()
        self.chunk = block.chunk
        self.heads = nn.ModuleList(PooledHead(block.chunk, block.key, kernel, block.side) for kernel in block.kernels)
        self.project = Projection(block.heads, block.chunk, block.dim)

    def forward(self, x: Tensor) -> Tensor:
        found: list[Tensor] = []
        for j, head in enumerate(self.heads):
            part = own_channels(x, j, len(self.heads), self.chunk)
            found.append(head(part + found[-1] if found else part))
        return x + self.project(torch.cat(found, 1) if len(found) > 1 else found[0])


def own_channels(x: Tensor, head: int, heads: int, chunk: int) -> Tensor:
    """The channels of one head: every so many, not a band, so that the first channels are the first of each."""
    return x[:, head : heads * chunk : heads]


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, scale: float | None = None) -> Tensor:
    """What queries find in values by their keys, all features, as tokens (batch, height x width, channels)."""
    # With an axis for heads, of which there is one: ONNX and fused kernels take nothing else.
    each = [x.flatten(2).transpose(1, 2)[:, None] for x in (q, k, v)]
    return F.scaled_dot_product_attention(each[0], each[1], each[2], attn_mask=bias, scale=scale)[:, 0]
