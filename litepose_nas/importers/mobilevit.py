"""MobileViT's weights in timm's layout and in that of Apple's CVNets, as backbones of MobileViTPose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from litepose_nas.importers.layout import Layout, count

HEADS, PATCH = 4, 2  # of every released network; no shape tells them
STAGES = 5

# timm's names, CVNets' and ours, as layout.py takes them. CVNets counts stages from one, and the normalisation
# behind its transformers is one more of their list of layers.
CONVS = (  # a convolution and its normalisation
    ("stem", "conv_1.block", "stem.conv", "stem.behind.bn"),
    *(
        (f"stages.I.J.{timm}", f"layer_I.J.block.{cvnets}.block", f"stages.I.J.{ours}.conv", f"stages.I.J.{ours}.bn")
        for timm, cvnets, ours in (
            ("conv1_1x1", "exp_1x1", "expand"),
            ("conv2_kxk", "conv_3x3", "dw"),
            ("conv3_1x1", "red_1x1", "project"),
        )
    ),
    (
        *("stages.I.1.conv_kxk", "layer_I.1.local_rep.conv_3x3.block"),
        *("stages.I.mix.local.conv.conv", "stages.I.mix.local.conv.bn"),
    ),
    ("stages.I.1.conv_proj", "layer_I.1.conv_proj.block", "stages.I.mix.fold.conv", "stages.I.mix.fold.behind.bn"),
    ("stages.I.1.conv_fusion", "layer_I.1.fusion.block", "stages.I.mix.fuse", "stages.I.mix.fuse.behind.bn"),
    ("final_conv", "conv_1x1_exp.block", "last.conv", "last.behind.bn"),
)
OTHERS = (
    ("stages.I.1.conv_1x1", "layer_I.1.local_rep.conv_1x1.block.conv", "stages.I.mix.local.wide.conv"),
    *(
        (f"stages.I.1.transformer.J.{timm}", f"layer_I.1.global_rep.J.{cvnets}", f"stages.I.mix.layers.J.{ours}")
        for timm, cvnets, ours in (
            ("norm1", "pre_norm_mha.0", "norm1"),
            ("attn.qkv", "pre_norm_mha.1.qkv_proj", "attention.qkv"),
            ("attn.proj", "pre_norm_mha.1.out_proj", "attention.out"),
            ("norm2", "pre_norm_ffn.0", "norm2"),
            ("mlp.fc1", "pre_norm_ffn.1", "up"),
            ("mlp.fc2", "pre_norm_ffn.4", "down"),
        )
    ),
    ("stages.I.1.norm", "layer_I.1.global_rep.J", "stages.I.mix.fold.norm"),
)
TIMM = (
    *(pair for timm, _, conv, norm in CONVS for pair in ((f"{timm}.conv", conv), (f"{timm}.bn", norm))),
    *((timm, ours) for timm, _, ours in OTHERS),
)
CVNETS = (
    *(pair for _, cvnets, conv, norm in CONVS for pair in ((f"{cvnets}.conv", conv), (f"{cvnets}.norm", norm))),
    *((cvnets, ours) for _, cvnets, ours in OTHERS),
)


def genes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:

    def size(name: str, axis: int) -> int:
        if name not in tensors:
            raise LookupError(f"no tensor for {name}")
        return tensors[name].shape[axis]

    found: dict[str, Any] = {"block": "official", "stem": size("stem.conv.weight", 0)}
    for i in range(STAGES):
        block = f"stages.{i}"
        found[f"{block}.depth"] = count(tensors, f"{block}.")
        found[f"{block}.width"] = size(f"{block}.0.project.conv.weight", 0)
        found[f"{block}.kernel"] = size(f"{block}.0.dw.conv.weight", -1)
        found[f"{block}.expand"] = size(f"{block}.0.expand.conv.weight", 0) // size(f"{block}.0.expand.conv.weight", 1)
        mix = f"{block}.mix"
        if any(name.startswith(f"{mix}.") for name in tensors):
            found[f"{mix}.mask"] = "1"
            found[f"{mix}.depth"] = count(tensors, f"{mix}.layers.")
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
        TIMM,
        genes,
        convert,
        pixels="unit",
    ),
    Layout(
        "CVNets' MobileViT",
        "mobilevitpose",
        lambda names: any(name.endswith(".pre_norm_mha.1.qkv_proj.weight") for name in names),
        CVNETS,
        genes,
        convert,
        {"I": 1},
        "unit-bgr",  # CVNets reads pictures with OpenCV and leaves blue first
    ),
)
