"""Tiny spaces for what no shipped space shows: which elastic groups, gates and heads lie inside which."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.deconv import GroupDeconv, LaneHeatmapConv
from litepose_nas.blocks.grouped import GroupedBottleneck, GroupedInvertedResidual
from litepose_nas.blocks.groups import group_lanes
from litepose_nas.blocks.ops import Op, conv, linear
from litepose_nas.blocks.stem import Stem, StemConv
from litepose_nas.families.family import Family
from litepose_nas.families.mobilevitpose.blocks import (
    ConvUnit,
    Fold,
    InvertedResidual,
    MergeConv,
    TransformerLayer,
    Unfold,
)
from litepose_nas.space import Arch, Space
from tests.helpers.properties import Inputs

Pair = tuple[dict[str, Any], dict[str, Any]]  # departures from the widest arch: of the narrow net, of the wide one


class Hard(NamedTuple):
    """A space and what it claims."""

    space: Space
    nests: tuple[Pair, ...] = ()
    convolutions: bool = True  # it has no other products


def chain(net: nn.Module, x: Tensor) -> Tensor:
    """One block after the other."""
    for block in net.children():
        x = block(x)
    return x


def space(name: str, plan: Callable[[Any, int], Iterator[Part]], wiring: Any = chain, **tree: Any) -> Space:
    """A space that is not in a file."""
    return Space({"resolution": [64, 96], "about": name, **tree}, name=name, family=Family(name, plan, wiring))


def departing(space: Space, departures: dict[str, Any]) -> Arch:
    """The widest architecture but for these values."""
    return space.arch(space.widest.to_dict() | departures)


def inputs(height: int, width: int) -> Inputs:
    """Two pictures."""
    return (torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1)),)


# ── elastic groups ──


def plan_groups(tree: Any, joints: int) -> Iterator[Part]:
    """Lanes in groups, inside bottlenecks and in deconvs."""
    lanes, few = tree.lanes, tree.fewest
    yield Part("stem", 1, Stem(8, tree.width))
    mid, hidden = tree.width // lanes, 4 * tree.attention
    grouping = group_lanes(tree.groups, lanes, few, mid, mid)
    for i in range(2):
        block = GroupedBottleneck(*grouping, tree.width, mid, tree.width, tree.kernel, 2 - i, i == 0, hidden)
        yield Part(f"block{i}", 2 + 2 * i, block)
    out = tree.head.width // lanes
    for i in range(2):
        cin = out if i else mid
        grouping = group_lanes(tree.head.groups, lanes, few, cin, out)
        yield Part(f"up{i}", 4 // 2**i, GroupDeconv(*grouping, cin, out, tree.head.kernel, i == 0))
    yield Part("answer", 1, LaneHeatmapConv(lanes, out, joints))


def back_up(net: nn.Module, x: Tensor) -> Tensor:
    """One block after the other; what a deconv adds to an odd size that was rounded up when it was halved goes."""
    sizes = [x.shape[-2:]]
    for name, block in net.named_children():
        x = block(x)
        if name == "stem":
            sizes.append(x.shape[-2:])
        if name.startswith("up"):
            height, width = sizes.pop()
            x = x if x.shape[-2:] == (height, width) else x[..., :height, :width]
    return x


GROUPS = Hard(
    space(
        "groups",
        plan_groups,
        back_up,
        lanes=4,
        fewest=1,
        width=[8, 24, 32],
        groups=[99, 4, 2, 1],
        kernel=[3, 5],
        attention=[0, 1],
        head={"width": [8, 16, 24], "groups": [99, 4, 2, 1], "kernel": [2, 4]},
    ),
    nests=(
        *(({"width": 8, "groups": g}, {"groups": g}) for g in (1, 2, 4, 99)),
        *(({"width": 24, "kernel": 3, "groups": g}, {}) for g in (1, 2, 4, 99)),
        *(({"head.width": 8, "head.kernel": 2, "head.groups": g}, {}) for g in (1, 2, 4, 99)),
        *(({"head.width": 16, "head.groups": g}, {"head.groups": 4}) for g in (4, 99)),
        ({"groups": 4, "kernel": 3}, {"groups": 2}),
        ({"groups": 99, "width": 8, "head.groups": 99, "head.width": 8, "attention": 0}, {"attention": 0}),
    ),
)


FEW_GROUPS = Hard(
    space(
        "few groups",
        plan_groups,
        back_up,
        lanes=8,
        fewest=4,
        width=[16, 32, 48],
        groups=[99, 8, 4],
        kernel=[3, 5, 7],
        attention=0,
        head={"width": [16, 32], "groups": [99, 8, 4], "kernel": 4},
    ),
    nests=(
        *(({"width": 16, "kernel": 3, "groups": g}, {"groups": g}) for g in (4, 8, 99)),
        ({"width": 32, "groups": 8}, {"groups": 4}),
        ({"groups": 99}, {"groups": 4}),
    ),
)


def plan_each(tree: Any, joints: int) -> Iterator[Part]:
    """Groups of a fixed size in inverted residuals, with gates."""
    yield Part("stem", 1, StemConv(tree.stem, 3, True))
    inside = 8 // tree.each
    first = GroupedInvertedResidual(
        tree.stem // 8, 8, inside, tree.stem, tree.stem, 3, 1, True, False, False, tree.attention * tree.stem // 4
    )
    yield Part("first", 2, first)
    width, mid = tree.stem, 8 * tree.expand
    for i in range(2):
        yield Part(
            f"block{i}",
            2 + 2 * i,
            GroupedInvertedResidual(
                mid // 8, 8, inside, width, 8, tree.kernel, 2 - i, i > 0, True, True, tree.attention * mid // 4
            ),
        )
        width = 8


EACH = Hard(
    space(
        "groups of a size", plan_each, stem=[8, 16], each=[1, 2, 4, 8], expand=[1, 3], kernel=[3, 5], attention=[0, 1]
    ),
    nests=(
        ({"stem": 8}, {}),
        *(({"each": e, "expand": 1}, {}) for e in (1, 2, 4)),
        ({"each": 2, "kernel": 3}, {"each": 4}),
        ({"each": 1, "stem": 8, "kernel": 3, "expand": 1, "attention": 0}, {"attention": 0}),
    ),
)


# ── a MobileViT block, official or bare ──


def plan_sequences(tree: Any, joints: int) -> Iterator[Part]:
    """Heads of any width: only beside them does the normalisation of tokens weigh all their channels."""
    bare, scale = tree.block == "bare", 4
    yield Part("stem", 1, ConvUnit(3, tree.cin, 3, 2, bare))
    yield Part("bottleneck", 2, InvertedResidual(tree.cin, 2 * tree.cin, tree.cin, 3, 1, True, bare))
    yield Part("local", 2, Unfold(tree.cin, tree.dim, tree.patch, bare))
    inner = tree.heads * tree.width
    yield Part(
        "layer", 2, TransformerLayer(tree.dim, tree.heads, inner, tree.expand * tree.dim, tree.patch, scale, not bare)
    )
    yield Part("fold", 2, Fold(tree.dim, tree.cin, tree.patch, bare))
    yield Part("fuse", 2, MergeConv(tree.cin, tree.kernel, bare), ("bottleneck", "fold"))


def run_sequences(net: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    x = net.bottleneck(net.stem(x))
    return (net.fuse(x, net.fold(net.layer(net.local(x)), *x.shape[-2:])),)


SEQUENCES = Hard(
    space(
        "sequences of patches",
        plan_sequences,
        run_sequences,
        block=["bare", "official"],
        cin=[8, 12],
        dim=[8, 16],
        heads=[1, 2, 4],
        width=[2, 4, 6],
        expand=[1, 2],
        patch=[4, 2],
        kernel=[1, 3],
    ),
    nests=(
        ({"cin": 8}, {}),
        ({"cin": 8, "kernel": 1, "block": "bare"}, {"block": "bare"}),
        *(({"width": 2, "heads": heads, "expand": 1}, {"heads": heads}) for heads in (1, 2, 4)),
        ({"width": 4, "patch": 4, "block": "bare"}, {"patch": 4, "block": "bare"}),
    ),
    convolutions=False,
)


SPACES = {hard.space.name: hard for hard in (GROUPS, FEW_GROUPS, EACH, SEQUENCES)}


# ── mistakes, for judges to find ──


class Packed(NamedTuple):
    """Attention whose queries, keys and values are packed in one axis: the mistake that bitwise tests do not see."""

    dim: int
    heads: int
    width: int

    def ops(self, h: int, w: int) -> list[Op]:
        inner = self.heads * self.width
        return [linear(h * w, self.dim, 3 * inner, bias=False)]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        return self.dim, h, w

    def build(self) -> nn.Module:
        return PackedAttention(self)


class PackedAttention(nn.Module):
    def __init__(self, block: Packed):
        super().__init__()
        self.shape = 3, block.heads, block.width
        self.qkv = nn.Linear(block.dim, 3 * block.heads * block.width, bias=False)
        self.out = nn.Parameter(torch.randn(block.dim, block.heads, block.width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x.flatten(2).transpose(1, 2)).unflatten(2, self.shape).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(q, k, v, scale=0.25).transpose(1, 2).flatten(2)
        return x + F.linear(found, self.out.flatten(1)).transpose(1, 2).unflatten(2, x.shape[2:])


def plan_packed(tree: Any, joints: int) -> Iterator[Part]:
    yield Part("stem", 1, Stem(8, tree.dim))
    yield Part("mix", 2, Packed(tree.dim, tree.heads, tree.width))


PACKED = Hard(space("packed attention", plan_packed, dim=[8, 16], heads=[1, 2, 4], width=[4, 8]), convolutions=False)


class SideBySide(NamedTuple):
    """A grouped convolution as torch has it: a narrow one deals its channels to other groups than a wide one."""

    width: int
    each: int  # input channels of a group

    def ops(self, h: int, w: int) -> list[Op]:
        return [conv(h, w, self.width, self.width, 3, groups=self.width // self.each, norm=False, act=False)]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        return self.width, h, w

    def build(self) -> nn.Module:
        return nn.Conv2d(self.width, self.width, 3, padding=1, groups=self.width // self.each, bias=False)


def plan_side_by_side(tree: Any, joints: int) -> Iterator[Part]:
    yield Part("stem", 1, Stem(8, tree.width))
    yield Part("conv", 2, SideBySide(tree.width, tree.width // 4))


SIDE_BY_SIDE = Hard(space("groups side by side", plan_side_by_side, width=[8, 16]))


class Table(NamedTuple):
    """A block with a buffer that depends on its size."""

    side: int

    def ops(self, h: int, w: int) -> list[Op]:
        return [Op(macs=0, params=self.side)]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        return 4, h, w

    def build(self) -> nn.Module:
        return LookUp(self.side)


class LookUp(nn.Module):
    def __init__(self, side: int):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(side))
        self.register_buffer("places", torch.arange(side).flip(0))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias[self.places][0]


def plan_table(tree: Any, joints: int) -> Iterator[Part]:
    yield Part("stem", 1, Stem(8, 4))
    yield Part("table", 2, Table(tree.side))


TABLE = Hard(space("table", plan_table, side=[2, 5]))


class Drawn(NamedTuple):
    """A block whose module draws a number when it is made, and tells nobody."""

    cin: int

    def ops(self, h: int, w: int) -> list[Op]:
        return [Op(macs=0, params=self.cin)]

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        return self.cin, h, w

    def build(self) -> nn.Module:
        return Scaled(self.cin)


class Scaled(nn.Module):
    def __init__(self, cin: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cin, 1, 1))
        self.factor = random.random()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight * self.factor


def plan_drawn(tree: Any, joints: int) -> Iterator[Part]:
    yield Part("stem", 1, Stem(8, tree.width))
    yield Part("drawn", 2, Drawn(tree.width))


DRAWN = Hard(space("a drawn number", plan_drawn, width=[4, 8]))
