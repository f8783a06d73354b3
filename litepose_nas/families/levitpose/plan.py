"""LEViTPose-like networks, top-down: EfficientViT's sandwiches of cascaded group attention, a head of grouped deconvs.

LEViTPose's own configuration (Wu et al., 2024) is not public: the wiring is what its figures show, the numbers
that they do not show are ours. EfficientViT's backbones (CVPR 2023) are public, and points of this family.
The output, at a quarter of the input: one heatmap a joint of the one person the picture was cut out for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.deconv import HeatmapConv, InterleavedDeconv, LightDeconv
from litepose_nas.errors import UserError, nearest
from litepose_nas.families.family import Family
from litepose_nas.families.levitpose.attention import MOST_HEADS, PooledCascade, WindowCascade
from litepose_nas.families.levitpose.convolutions import (
    ConvDownsample,
    ConvEmbedding,
    DepthwiseDownsample,
    DepthwiseFFN,
    LightEmbedding,
    MergeDownsample,
    PatchEmbedding,
)
from litepose_nas.families.shared import chain, check_list, cropped
from litepose_nas.task_kind import TaskKind

STAGES = 3
SCALE = 16  # EfficientViT's width of a key
EMBEDDINGS = {"conv5": 4, "conv7": 4, "light": 4, "conv3x2": 4, "conv3x4": 16}  # and by how much each shrinks a picture
DOWNSAMPLES = ("depthwise", "conv", "merge")
DECONVS = {"plain": InterleavedDeconv, "light": LightDeconv}


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: the embedding, three stages of sandwiches, deconvs up to a quarter, the heatmaps."""
    check_list("stages", tree.stages, STAGES)
    width = tree.stages[0].width
    down = EMBEDDINGS[_word("embedding", tree.embedding, EMBEDDINGS)]
    yield Part(f"embedding.{tree.embedding}", 1, _embedding(tree.embedding, width))
    for i, stage in enumerate(tree.stages):
        if i > 0:
            downsample = _word(f"stages.{i}.down", stage.down, DOWNSAMPLES)
            yield Part(f"stages.{i}.down.before", down, DepthwiseFFN(width, width * tree.stages[i - 1].expand))
            yield Part(f"stages.{i}.down.{downsample}", down, _downsample(downsample, width, stage.width))
            width, down = stage.width, down * 2
            yield Part(f"stages.{i}.down.after", down, DepthwiseFFN(width, width * stage.expand))
        if stage.depth < 1:
            raise UserError(f"stages.{i}.depth: expected at least 1")
        name, attention = _attention(stage, f"stages.{i}")
        for j in range(stage.depth):
            yield Part(f"stages.{i}.{j}.before", down, DepthwiseFFN(width, width * stage.expand))
            yield Part(f"stages.{i}.{j}.{name}", down, attention)
            yield Part(f"stages.{i}.{j}.after", down, DepthwiseFFN(width, width * stage.expand))
    check_list("head", tree.head, (down // 4).bit_length() - 1)  # so many doublings lead to a quarter
    for i, layer in enumerate(tree.head):
        form = _word(f"head.{i}.form", layer.form, DECONVS)
        if layer.width % layer.groups or (form == "plain" and width % layer.groups):
            raise UserError(f"head.{i}.groups: {layer.groups} do not divide {width} and {layer.width} channels")
        yield Part(f"head.{i}.{form}", down, DECONVS[form](width, layer.width, layer.kernel, layer.groups))
        width, down = layer.width, down // 2
    yield Part("heatmaps", down, HeatmapConv(width, joints))


def _word(path: str, word: str, known: Any) -> str:
    if word not in known:
        raise UserError(f"{path}: {word!r} is not one; {nearest(word, known)}")
    return word


def _embedding(name: str, width: int) -> ConvEmbedding | PatchEmbedding | LightEmbedding:
    if name == "light":
        return LightEmbedding(width // 2, width // 2)
    kernel, _, number = name.removeprefix("conv").partition("x")
    return ConvEmbedding(width, int(number)) if number else PatchEmbedding(width, int(kernel))


def _downsample(name: str, cin: int, cout: int) -> ConvDownsample | DepthwiseDownsample | MergeDownsample:
    if name == "merge":
        return MergeDownsample(cin, 4 * cin, cin, cout)
    return ConvDownsample(cin, cout) if name == "conv" else DepthwiseDownsample(cin, cout)


def _attention(stage: Any, path: str) -> tuple[str, WindowCascade | PooledCascade]:
    """The kind of a stage's attention and the block: the word says kind and size, such as pool7 or window7."""
    found = re.fullmatch(r"(pool|window)([1-9]\d?)", stage.attention)
    if found is None:
        raise UserError(f"{path}.attention: {stage.attention!r} is not one; write pool7, window7 or another size")
    kernels = [int(kernel) for kernel in stage.heads.split("-")] if re.fullmatch(r"\d+(-\d+)*", stage.heads) else []
    if not 1 <= len(kernels) <= MOST_HEADS or any(kernel % 2 == 0 for kernel in kernels):
        raise UserError(
            f"{path}.heads: {stage.heads!r}: expected an odd kernel for each head, up to {MOST_HEADS}, as 7-5-3-3"
        )
    heads = len(kernels)
    # Where there is no such head there is no kernel, or two blocks that are the same would not be equal.
    first, second, third, fourth = kernels + [0] * (MOST_HEADS - heads)
    common = (stage.width, heads, stage.width // heads, stage.key, first, second, third, fourth)
    if found[1] == "pool":
        return "pool", PooledCascade(*common, int(found[2]))
    return "window", WindowCascade(*common, int(found[2]), SCALE)


def forward(net: Any, image: Any) -> tuple[Any, ...]:
    height, width = image.shape[-2:]
    x = chain(net.embedding, image)
    for stage in net.stages.children():
        for sandwich in stage.children():
            x = chain(sandwich, x)
    layers = list(net.head.children())
    down = 4 * 2 ** len(layers)
    for layer in layers:
        down //= 2
        x = cropped(chain(layer, x), (-(-height // down), -(-width // down)))
    return (net.heatmaps(x),)


FAMILY = Family("levitpose", plan, forward, ("heatmaps",), TaskKind.TOPDOWN)
