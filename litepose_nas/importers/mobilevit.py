"""MobileViT's weights in timm's layout and in that of Apple's CVNets, as backbones of MobileViTPose."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from litepose_nas.importers.layout import Layout

HEADS, PATCH = 4, 2  # of every released network; no shape tells them
STAGES = 5

# Names without their last word, which is the same everywhere but for those in LEAVES; I and J are whole numbers.
TIMM = (
    ("stem.conv", "stem.conv"),
    ("stem.bn", "stem.behind.bn"),
    ("stages.I.J.conv1_1x1.conv", "stages.I.J.expand.conv"),
    ("stages.I.J.conv1_1x1.bn", "stages.I.J.expand.bn"),
    ("stages.I.J.conv2_kxk.conv", "stages.I.J.dw.conv"),
    ("stages.I.J.conv2_kxk.bn", "stages.I.J.dw.bn"),
    ("stages.I.J.conv3_1x1.conv", "stages.I.J.project.conv"),
    ("stages.I.J.conv3_1x1.bn", "stages.I.J.project.bn"),
    ("stages.I.1.conv_kxk.conv", "stages.I.mix.local.conv.conv"),
    ("stages.I.1.conv_kxk.bn", "stages.I.mix.local.conv.bn"),
    ("stages.I.1.conv_1x1", "stages.I.mix.local.wide.conv"),
    ("stages.I.1.transformer.J.norm1", "stages.I.mix.layers.J.norm1"),
    ("stages.I.1.transformer.J.attn.qkv", "stages.I.mix.layers.J.attention.qkv"),
    ("stages.I.1.transformer.J.attn.proj", "stages.I.mix.layers.J.attention.out"),
    ("stages.I.1.transformer.J.norm2", "stages.I.mix.layers.J.norm2"),
    ("stages.I.1.transformer.J.mlp.fc1", "stages.I.mix.layers.J.up"),
    ("stages.I.1.transformer.J.mlp.fc2", "stages.I.mix.layers.J.down"),
    ("stages.I.1.norm", "stages.I.mix.fold.norm"),
    ("stages.I.1.conv_proj.conv", "stages.I.mix.fold.conv"),
    ("stages.I.1.conv_proj.bn", "stages.I.mix.fold.behind.bn"),
    ("stages.I.1.conv_fusion.conv", "stages.I.mix.fuse"),
    ("stages.I.1.conv_fusion.bn", "stages.I.mix.fuse.behind.bn"),
    ("final_conv.conv", "last.conv"),
    ("final_conv.bn", "last.behind.bn"),
)
CVNETS = (  # I counts from one here, and the last normalisation is one more of the list of layers
    ("conv_1.block.conv", "stem.conv"),
    ("conv_1.block.norm", "stem.behind.bn"),
    ("layer_I.J.block.exp_1x1.block.conv", "stages.I.J.expand.conv"),
    ("layer_I.J.block.exp_1x1.block.norm", "stages.I.J.expand.bn"),
    ("layer_I.J.block.conv_3x3.block.conv", "stages.I.J.dw.conv"),
    ("layer_I.J.block.conv_3x3.block.norm", "stages.I.J.dw.bn"),
    ("layer_I.J.block.red_1x1.block.conv", "stages.I.J.project.conv"),
    ("layer_I.J.block.red_1x1.block.norm", "stages.I.J.project.bn"),
    ("layer_I.1.local_rep.conv_3x3.block.conv", "stages.I.mix.local.conv.conv"),
    ("layer_I.1.local_rep.conv_3x3.block.norm", "stages.I.mix.local.conv.bn"),
    ("layer_I.1.local_rep.conv_1x1.block.conv", "stages.I.mix.local.wide.conv"),
    ("layer_I.1.global_rep.J.pre_norm_mha.0", "stages.I.mix.layers.J.norm1"),
    ("layer_I.1.global_rep.J.pre_norm_mha.1.qkv_proj", "stages.I.mix.layers.J.attention.qkv"),
    ("layer_I.1.global_rep.J.pre_norm_mha.1.out_proj", "stages.I.mix.layers.J.attention.out"),
    ("layer_I.1.global_rep.J.pre_norm_ffn.0", "stages.I.mix.layers.J.norm2"),
    ("layer_I.1.global_rep.J.pre_norm_ffn.1", "stages.I.mix.layers.J.up"),
    ("layer_I.1.global_rep.J.pre_norm_ffn.4", "stages.I.mix.layers.J.down"),
    ("layer_I.1.global_rep.J", "stages.I.mix.fold.norm"),
    ("layer_I.1.conv_proj.block.conv", "stages.I.mix.fold.conv"),
    ("layer_I.1.conv_proj.block.norm", "stages.I.mix.fold.behind.bn"),
    ("layer_I.1.fusion.block.conv", "stages.I.mix.fuse"),
    ("layer_I.1.fusion.block.norm", "stages.I.mix.fuse.behind.bn"),
    ("conv_1x1_exp.block.conv", "last.conv"),
    ("conv_1x1_exp.block.norm", "last.behind.bn"),
)
LEAVES = {  # attention has parameters where others have modules
    "attention.qkv.weight": "attention.qkv",
    "attention.qkv.bias": "attention.qkv_bias",
    "attention.out.weight": "attention.out",
    "attention.out.bias": "attention.out_bias",
}


def from_timm(name: str) -> str | None:
    """Return our name for a tensor of timm's MobileViT; None for the classifier."""
    return _rename(name, TIMM, 0)


def from_cvnets(name: str) -> str | None:
    """Return our name for a tensor of CVNets' MobileViT; None for the classifier."""
    return _rename(name, CVNETS, 1)


def _rename(name: str, pairs: Collection[tuple[str, str]], first: int) -> str | None:
    """Return the name with the same numbers, I less the number of the first stage."""
    for theirs, ours in pairs:
        pattern = re.escape(theirs).replace("I", r"(?P<I>\d+)").replace("J", r"(?P<J>\d+)")
        if found := re.fullmatch(rf"{pattern}\.([a-z_]+)", name):
            numbers = found.groupdict()
            if "I" in numbers:
                ours = ours.replace("I", str(int(numbers["I"]) - first))
            ours = f"{ours.replace('J', numbers.get('J', 'J'))}.{found.groups()[-1]}"
            parent, _, leaf = ours.rpartition("attention.")
            return f"{parent}{LEAVES[f'attention.{leaf}']}" if f"attention.{leaf}" in LEAVES else ours
    return None


def genes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what the shapes tell of the backbone, and what every released network has in common."""

    def size(name: str, axis: int) -> int:
        if name not in tensors:
            raise LookupError(f"no tensor for {name}")
        return tensors[name].shape[axis]

    def count(prefix: str) -> int:
        numbers = [name.removeprefix(prefix).split(".")[0] for name in tensors if name.startswith(prefix)]
        return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)

    found: dict[str, Any] = {"block": "official", "stem": size("stem.conv.weight", 0)}
    for i in range(STAGES):
        block = f"stages.{i}"
        found[f"{block}.depth"] = count(f"{block}.")
        found[f"{block}.width"] = size(f"{block}.0.project.conv.weight", 0)
        found[f"{block}.kernel"] = size(f"{block}.0.dw.conv.weight", -1)
        found[f"{block}.expand"] = size(f"{block}.0.expand.conv.weight", 0) // size(f"{block}.0.expand.conv.weight", 1)
        mix = f"{block}.mix"
        if any(name.startswith(f"{mix}.") for name in tensors):
            found[f"{mix}.mask"] = "1"
            found[f"{mix}.depth"] = count(f"{mix}.layers.")
            found[f"{mix}.width"] = size(f"{mix}.local.wide.conv.weight", 0)
            found[f"{mix}.heads"], found[f"{mix}.patch"] = HEADS, PATCH
            found[f"{mix}.expand"] = size(f"{mix}.layers.0.up.weight", 0) // size(f"{mix}.layers.0.up.weight", 1)
            found[f"{mix}.kernel"] = size(f"{mix}.fuse.weight", -1)
    found["last.expand"] = size("last.conv.weight", 0) // size("last.conv.weight", 1)
    return found


def convert(name: str, tensor: Tensor) -> Tensor:
    """Return a tensor as ours lies: heads interleaved, and an axis for the two halves of a concatenation."""
    if name.endswith((".attention.qkv", ".attention.qkv_bias")):
        return tensor.unflatten(0, (3, HEADS, -1)).transpose(1, 2).flatten(1, 2)
    if name.endswith(".attention.out"):
        return tensor.unflatten(1, (HEADS, -1)).transpose(1, 2).flatten(1)
    if name.endswith(".mix.fuse.weight"):
        return tensor.unflatten(1, (2, -1))[None]
    return tensor


LAYOUTS = (
    Layout(
        "timm's MobileViT",
        "mobilevitpose",
        lambda names: any(re.fullmatch(r"stages\.\d+\.\d+\.transformer\.\d+\.attn\.qkv\.weight", n) for n in names),
        from_timm,
        genes,
        convert,
        "unit",
    ),
    Layout(
        "CVNets' MobileViT",
        "mobilevitpose",
        lambda names: any(name.endswith(".pre_norm_mha.1.qkv_proj.weight") for name in names),
        from_cvnets,
        genes,
        convert,
        "unit-bgr",  # CVNets reads pictures with OpenCV and leaves blue first
    ),
)
