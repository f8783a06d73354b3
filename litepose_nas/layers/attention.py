"""Layers of attention and a feed-forward net."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers import windows


class Heads(nn.Module):
    """Queries, keys and values of all heads from one weight, and the way back.

    Each quantity has an axis, (3, heads, width, dim). Packed as (3 x heads x width, dim), queries of a wide network
    would be keys of a narrow one, without any error.
    """

    def __init__(self, dim: int, heads: int, width: int, scale: int):
        super().__init__()
        self.scale = scale**-0.5
        self.qkv = nn.Parameter(torch.empty(3, heads, width, dim))
        self.qkv_bias = nn.Parameter(torch.zeros(3, heads, width))
        self.out = nn.Parameter(torch.empty(dim, heads, width))
        self.out_bias = nn.Parameter(torch.zeros(dim))
        nn.init.normal_(self.qkv, std=dim**-0.5)
        nn.init.normal_(self.out, std=(heads * width) ** -0.5)

    def split(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Return queries, keys and values (batch, heads, tokens, width) of tokens (batch, tokens, dim)."""
        packed = F.linear(tokens, self.qkv.flatten(0, 2), self.qkv_bias.flatten())
        return packed.unflatten(2, self.qkv.shape[:3]).permute(2, 0, 3, 1, 4).unbind()

    def merge(self, found: Tensor) -> Tensor:
        """Return tokens (batch, tokens, dim) of what the heads found (batch, heads, tokens, width)."""
        return F.linear(found.transpose(1, 2).flatten(2), self.out.flatten(1), self.out_bias)

    def between_tokens(self, tokens: Tensor) -> Tensor:
        """Let every token attend to every other."""
        q, k, v = self.split(tokens)
        return self.merge(F.scaled_dot_product_attention(q, k, v, scale=self.scale))

    def between_channels(self, tokens: Tensor) -> Tensor:
        """Let every channel of a head attend to the head's other channels."""
        q, k, v = (each.transpose(2, 3) for each in self.split(tokens))
        return self.merge(F.scaled_dot_product_attention(q, k, v, scale=self.scale).transpose(2, 3))


class FeedForward(nn.Module):
    """Two linear maps of every token with a GELU between them."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the new tokens."""
        return self.down(F.gelu(self.up(tokens)))


class ChannelAttention(nn.Module):
    """Attention between channels and a feed-forward net, each added to what came in."""

    def __init__(self, dim: int, heads: int, width: int, hidden: int, scale: int, normed: bool = True):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim) if normed else nn.Identity()
        self.norm2 = nn.LayerNorm(dim) if normed else nn.Identity()
        self.heads, self.feed = Heads(dim, heads, width, scale), FeedForward(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature, as large as the old."""
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.mix(self.norm1(tokens), *x.shape[2:])
        tokens = tokens + self.feed(self.norm2(tokens))
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])

    def mix(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Return what attention adds to the tokens (batch, height x width, dim) of a feature."""
        return self.heads.between_channels(tokens)


class SpatialAttention(ChannelAttention):
    """The same with attention between positions, everywhere or inside windows."""

    def __init__(self, dim: int, heads: int, width: int, hidden: int, window: int, scale: int, normed: bool = True):
        super().__init__(dim, heads, width, hidden, scale, normed)
        self.side = window

    def mix(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Return what attention adds; without a mask, so that padded positions are attended to like any other."""
        if not self.side:
            return self.heads.between_tokens(tokens)
        tokens = windows.cut(tokens.unflatten(1, (height, width)), self.side)
        tokens = self.heads.between_tokens(tokens.flatten(1, 2)).unflatten(1, (self.side, self.side))
        return windows.join(tokens, height, width).flatten(1, 2)
