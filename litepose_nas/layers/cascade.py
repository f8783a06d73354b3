"""Cascaded group attention, one module a head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers import windows
from litepose_nas.layers.conv import conv_bn, dense, depthwise


class Head(nn.Module):
    """Queries, keys and values of one head; the queries pass a depthwise convolution, keys and values an average."""

    def __init__(self, chunk: int, key: int, kernel: int, pool: int, scale: int):
        super().__init__()
        self.pool, self.scale = pool, scale**-0.5
        self.q = conv_bn(dense(chunk, key), key)
        self.dw = conv_bn(depthwise(key, kernel), key)
        self.k = conv_bn(dense(chunk, key), key)
        self.v = conv_bn(dense(chunk, chunk), chunk)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return what this head found in windows (batch, chunk, side, side), with a bias for each query and key."""
        reduced = F.avg_pool2d(x, self.pool, ceil_mode=True) if self.pool > 1 else x
        q, k, v = (
            tokens.flatten(2).transpose(1, 2) for tokens in (self.dw(self.q(x)), self.k(reduced), self.v(reduced))
        )
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=self.scale)
        return y.transpose(1, 2).unflatten(2, x.shape[2:])


class Projection(nn.Module):
    """A 1x1 convolution of all heads' results: heads and channels of a head have an axis each, for each can shrink."""

    def __init__(self, heads: int, chunk: int, cout: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cout, heads, chunk))
        self.bn = nn.BatchNorm2d(cout)
        nn.init.normal_(self.weight, std=(heads * chunk) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed feature."""
        return self.bn(F.conv2d(x, self.weight.flatten(1)[:, :, None, None]))


class CascadedAttention(nn.Module):
    """Heads in a cascade inside windows; their channels are interleaved, so that narrow nets lie inside wide ones."""

    def __init__(self, dim: int, heads: int, chunk: int, key: int, kernel: int, window: int, pool: int, scale: int):
        super().__init__()
        self.side, self.pool = window, pool
        self.heads = nn.ModuleList(Head(chunk, key, kernel, pool, scale) for _ in range(heads))
        self.bias = nn.Parameter(torch.zeros(heads, window, window))  # by distance: a smaller window is the head of it
        self.project = Projection(heads, chunk, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature, as large as the old."""
        height, width = x.shape[-2:]
        x = windows.cut(x.permute(0, 2, 3, 1), self.side).permute(0, 3, 1, 2)
        found: list[Tensor] = []
        for j, (head, bias) in enumerate(zip(self.heads, self.biases(), strict=True)):
            part = x[:, j :: len(self.heads)]
            found.append(head(part + found[-1] if found else part, bias))
        x = self.project(F.relu(torch.cat(found, 1)))
        return windows.join(x.permute(0, 2, 3, 1), height, width).permute(0, 3, 1, 2)

    def biases(self) -> Tensor:
        """Return a bias for each head, query and key; worked out here, for a stored table of places cannot shrink."""
        queries = torch.arange(self.side, device=self.bias.device)
        far = (queries[:, None] - queries[:: self.pool]).abs()
        return self.bias[:, far[:, None, :, None], far[None, :, None, :]].flatten(3, 4).flatten(1, 2)
