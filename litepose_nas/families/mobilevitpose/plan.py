"""MobileViTPose: a MobileViT backbone (ICLR 2022) and deconvs up to a quarter of the input, top-down.

`block: official` is Apple's MobileViT, which released weights fit; `block: seed` is as MobileViTPose was published:
heads of 32 channels without biases whose scores are divided by the root of the tokens' width, no normalisation behind
the transformer, bare convolutions around it, at the stem and at the end, and no activation behind an expansion.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.deconv import HeatmapConv, InterleavedDeconv
from litepose_nas.errors import UserError, nearest
from litepose_nas.families.family import Family
from litepose_nas.families.mobilevitpose.blocks import (
    ConvUnit,
    Fold,
    InvertedResidual,
    MergeConv,
    TransformerLayer,
    Unfold,
)
from litepose_nas.families.shared import chain, check_list, heatmaps
from litepose_nas.task_kind import TaskKind

STRIDES = (1, 2, 2, 2, 2)
KINDS = ("official", "seed")
SEED_HEAD = 32  # channels of a head of the seed's


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: stem, five stages down to a 32nd, the last convolution, deconvs, the heatmaps."""
    _check(tree)
    seed = tree.block == "seed"
    yield Part("stem", 1, ConvUnit(3, tree.stem, 3, 2, seed))
    width, down, last = tree.stem, 2, "stem"
    for i, (stage, stride) in enumerate(zip(tree.stages, STRIDES, strict=True)):
        for j in range(stage.depth):
            last = f"stages.{i}.{j}"
            # The very first is residual where widths are equal: by luck, but MobileViT has it so, and its weights too.
            residual = j > 0 or (stride == 1 and width == stage.width)
            step = stride if j == 0 else 1
            bottleneck = InvertedResidual(width, width * stage.expand, stage.width, stage.kernel, step, residual, seed)
            yield Part(last, down, bottleneck)
            width, down = stage.width, down * step
        if _attends(stage):
            yield from _mix(stage.mix, f"stages.{i}.mix", last, width, down, seed)
            last = f"stages.{i}.mix.fuse"
    yield Part("last", down, ConvUnit(width, width * tree.last.expand, 1, 1, seed))
    width = width * tree.last.expand
    for i, head in enumerate(tree.head):
        _check_groups(f"head.{i}", head.groups, width, head.width)
        yield Part(f"head.{i}", down, InterleavedDeconv(width, head.width, head.kernel, head.groups))
        width, down = head.width, down // 2
    yield Part("heatmaps", down, HeatmapConv(width, joints))


def _mix(mix: Any, name: str, before: str, width: int, down: int, seed: bool) -> Iterator[Part]:
    """Yield the blocks that let pixels attend to each other, `depth` transformer layers in their middle."""
    inner = mix.heads * (SEED_HEAD if seed else mix.width // mix.heads)
    scale = mix.width if seed else mix.width // mix.heads
    layer = TransformerLayer(mix.width, mix.heads, inner, mix.width * mix.expand, mix.patch, scale, not seed)
    yield Part(f"{name}.local", down, Unfold(width, mix.width, mix.patch, seed))
    for j in range(mix.depth):
        yield Part(f"{name}.layers.{j}", down, layer)
    yield Part(f"{name}.fold", down, Fold(mix.width, width, mix.patch, seed))
    yield Part(f"{name}.fuse", down, MergeConv(width, mix.kernel, seed), (before, f"{name}.fold"))


def _attends(stage: Any) -> bool:
    return hasattr(stage, "mix") and getattr(stage.mix, "mask", "1") != "0"


def _check(tree: Any) -> None:
    if tree.block not in KINDS:
        raise UserError(f"block: {tree.block!r} is not a kind of block; {nearest(tree.block, KINDS)}")
    check_list("stages", tree.stages, len(STRIDES))
    check_list("head", tree.head, 1, 3)
    for i, stage in enumerate(tree.stages):
        for key, node in (("depth", stage), ("mix.depth", stage.mix if _attends(stage) else stage)):
            if node.depth < 1:
                raise UserError(f"stages.{i}.{key}: expected at least 1")


def _check_groups(where: str, groups: Any, *widths: Any) -> None:
    """Refuse widths that cannot be dealt to groups evenly."""
    for width in widths:
        if isinstance(width, int) and isinstance(groups, int) and (groups < 1 or width % groups):
            raise UserError(f"{where}.groups: {width} channels cannot be dealt to {groups} groups; choose a divisor")


def forward(net: Any, image: Any) -> tuple[Any, ...]:
    x = net.stem(image)
    sizes = []
    for stage in net.stages.children():
        for name, block in stage.named_children():
            x = _mixed(block, x) if name == "mix" else block(x)
        sizes.append(x.shape[-2:])
    return (heatmaps(net, net.last(x), sizes[:-1]),)


def _mixed(mix: Any, x: Any) -> Any:
    tokens = chain(mix.layers, mix.local(x))
    return mix.fuse(x, mix.fold(tokens, *x.shape[-2:]))


FAMILY = Family("mobilevitpose", plan, forward, ("heatmaps",), TaskKind.TOPDOWN)
