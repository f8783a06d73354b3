"""MobileViT. `bare` modules have a bias where others normalise; with `both`, as a store, they have either."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import conv_bn, dense
from litepose_nas.blocks.depthwise_torch import DepthwiseConv

if TYPE_CHECKING:
    from litepose_nas.families.mobilevitpose.blocks import (
        ConvUnit,
        Fold,
        InvertedResidual,
        MergeConv,
        TransformerLayer,
        Unfold,
    )


class Behind(nn.Module):
    """What stands behind a convolution of a bare network, a bias, or of another, batch normalisation and SiLU."""

    def __init__(self, channels: int, bare: bool, both: bool = False):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels)) if bare or both else None
        self.bn = nn.BatchNorm2d(channels) if both or not bare else None

    def bias_of(self, conv: str) -> dict[str, Tensor]:
        """The bias as that of the convolution before, if it is used."""
        return {} if self.bias is None or self.bn is not None else {f"{conv}.bias": self.bias}

    def forward(self, x: Tensor) -> Tensor:
        if self.bn is not None:
            return F.silu(self.bn(x), inplace=True)
        assert self.bias is not None
        return x + self.bias[:, None, None]


class ConvUnitModule(nn.Module):
    def __init__(self, block: ConvUnit, both: bool = False):
        super().__init__()
        self.conv = dense(block.cin, block.cout, block.kernel, block.stride)
        self.behind = Behind(block.cout, block.bare, both)

    def graph_weights(self) -> dict[str, Tensor]:
        return self.behind.bias_of("conv")

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(self.conv(x))


class InvertedResidualModule(nn.Module):
    def __init__(self, block: InvertedResidual):
        super().__init__()
        cin, mid, cout = block.cin, block.mid, block.cout
        self.residual, self.quiet = block.residual, block.quiet
        self.expand = conv_bn(dense(cin, mid), mid)
        self.dw = conv_bn(DepthwiseConv(mid, block.kernel, block.stride), mid, nn.SiLU(inplace=True))
        self.project = conv_bn(dense(mid, cout), cout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x)
        y = self.project(self.dw(y if self.quiet else F.silu(y, inplace=True)))
        return x + y if self.residual else y


class UnfoldModule(nn.Module):
    def __init__(self, block: Unfold):
        super().__init__()
        cin, dim = block.cin, block.dim
        self.patch = block.patch
        self.conv = conv_bn(dense(cin, cin, 3), cin, nn.SiLU(inplace=True))
        wide = dense(cin, dim)
        # The convolution has the same name with a normalisation behind it and without.
        plain = nn.Sequential(OrderedDict(conv=wide))
        self.wide = conv_bn(wide, dim, nn.SiLU(inplace=True)) if block.normed else plain

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch x patch x patch, patches, dim)."""
        return unfold(self.wide(self.conv(x)), self.patch)


class TransformerLayerModule(nn.Module):
    def __init__(self, block: TransformerLayer):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(block.dim), nn.LayerNorm(block.dim)
        self.attention = Attention(block)
        self.up, self.down = nn.Linear(block.dim, block.hidden), nn.Linear(block.hidden, block.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.down(F.silu(self.up(self.norm2(tokens)), inplace=True))


class Attention(nn.Module):
    """Attention whose heads are interleaved: channel c of queries, keys and values is in head c % heads.

    Queries, keys and values have an axis, (3, inner, dim): packed as (3 x inner, dim), queries of a wide network would
    be keys of a narrow one, without any error. Interleaved, the first channels of wide heads are narrow heads, and
    every number of heads uses the whole weight; side by side, a store would need as much for one head as for eight.
    """

    def __init__(self, block: TransformerLayer):
        super().__init__()
        dim, inner, biased = block.dim, block.inner, block.biased
        self.heads, self.scale = block.heads, block.scale**-0.5
        self.qkv = nn.Parameter(torch.empty(3, inner, dim))
        self.out = nn.Parameter(torch.empty(dim, inner))
        self.qkv_bias = nn.Parameter(torch.zeros(3, inner)) if biased else None
        self.out_bias = nn.Parameter(torch.zeros(dim)) if biased else None
        nn.init.uniform_(self.qkv, -((3 / dim) ** 0.5), (3 / dim) ** 0.5)
        nn.init.uniform_(self.out, -((3 / inner) ** 0.5), (3 / inner) ** 0.5)

    def graph_weights(self) -> dict[str, Tensor]:
        found = {
            "qkv.weight": self._dealt(self.qkv, 1).flatten(0, 2),
            "out.weight": self._dealt(self.out, 1).flatten(1),
        }
        if self.qkv_bias is not None and self.out_bias is not None:
            found |= {"qkv.bias": self._dealt(self.qkv_bias, 1).flatten(), "out.bias": self.out_bias}
        return found

    def forward(self, tokens: Tensor) -> Tensor:
        """What the tokens (batch, tokens, dim) found in each other."""
        # The weight is dealt to heads, not the tokens: it is smaller, and fused attention wants heads side by side.
        weight = self._dealt(self.qkv, 1)
        bias = None if self.qkv_bias is None else self._dealt(self.qkv_bias, 1).flatten()
        packed = F.linear(tokens, weight.flatten(0, 2), bias)
        q, k, v = packed.unflatten(2, weight.shape[:3]).permute(2, 0, 3, 1, 4).unbind()
        found = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return F.linear(found.transpose(1, 2).flatten(2), self._dealt(self.out, 1).flatten(1), self.out_bias)

    def _dealt(self, weight: Tensor, axis: int) -> Tensor:
        """A weight with heads and channels of a head in place of the axis of all channels."""
        return weight.unflatten(axis, (-1, self.heads)).transpose(axis, axis + 1)


class FoldModule(nn.Module):
    def __init__(self, block: Fold, both: bool = False):
        super().__init__()
        self.patch = block.patch
        self.norm = nn.LayerNorm(block.dim) if both or not block.bare else None
        self.conv, self.behind = dense(block.dim, block.cout), Behind(block.cout, block.bare, both)

    def graph_weights(self) -> dict[str, Tensor]:
        return self.behind.bias_of("conv")

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        tokens = tokens if self.norm is None else self.norm(tokens)
        return self.behind(self.conv(fold(tokens, self.patch, height, width)))


class MergeConvModule(nn.Module):
    """What a convolution of the concatenated features gives, as the sum of one for each part: nothing is copied.

    The weight has an axis for the parts: side by side, the second would be elsewhere in every width.
    """

    centred = (4, 5)

    def __init__(self, block: MergeConv, both: bool = False):
        super().__init__()
        width, kernel, bare = block
        # The first axis has no meaning: torch takes tensors of five axes for videos, which have other memory formats.
        self.weight = nn.Parameter(torch.empty(1, width, 2, width, kernel, kernel))
        self.behind = Behind(width, bare, both)
        bound = (2 * width * kernel * kernel) ** -0.5  # as torch starts a convolution
        nn.init.uniform_(self.weight, -bound, bound)

    def graph_weights(self) -> dict[str, Tensor]:
        first, second = self.weight[0].unbind(1)
        return {"first.weight": first, "second.weight": second, **self.behind.bias_of("second")}

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        one, other = self.weight[0].unbind(1)
        rim = self.weight.shape[-1] // 2
        return self.behind(F.conv2d(first, one, padding=rim) + F.conv2d(second, other, padding=rim))


def unfold(x: Tensor, patch: int) -> Tensor:
    """The sequences of a picture, one for each place in a patch: (batch x patch x patch, patches, channels)."""
    height, width = x.shape[-2:]
    size = -(-height // patch) * patch, -(-width // patch) * patch
    if size != (height, width):
        x = F.interpolate(x, size, mode="bilinear", align_corners=False)
    x = x.unflatten(3, (-1, patch)).unflatten(2, (-1, patch)).permute(0, 3, 5, 2, 4, 1)
    # A copy also where a view would do: what lies in memory then depends on the sizes alone.
    return x.clone(memory_format=torch.contiguous_format).flatten(3, 4).flatten(0, 2)


def fold(tokens: Tensor, patch: int, height: int, width: int) -> Tensor:
    """The picture of this size that was cut into sequences."""
    rows, columns = -(-height // patch), -(-width // patch)
    x = tokens.unflatten(1, (rows, columns)).unflatten(0, (-1, patch, patch)).permute(0, 3, 1, 4, 2, 5)
    # Channels last in memory, as tokens have them: left to the convolution, its weight's layout would decide.
    x = x.clone(memory_format=torch.contiguous_format).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
    if (rows * patch, columns * patch) != (height, width):
        x = F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
    return x
