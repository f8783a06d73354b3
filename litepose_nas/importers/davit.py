"""DaViT's weights in the layout of its authors and in timm's, as the side branch of HRNet + DaViT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from litepose_nas.importers.layout import Layout, count

HEAD, WINDOW = 32, 7  # of every released network; no shape tells them
STAGES = 4
KINDS = ("spatial", "channel")
INSIDE = (
    ("norm1", "norm1"),
    ("attn.qkv", "qkv"),
    ("attn.proj", "out"),
    ("norm2", "norm2"),
    ("mlp.fc1", "feed.up"),
    ("mlp.fc2", "feed.down"),
)
AUTHORS = (
    ("patch_embeds.I.proj", "davit.I.embed.conv"),
    ("patch_embeds.I.norm", "davit.I.embed.norm"),
    ("normI", "davit.I.norm.norm"),  # of a backbone that gives every stage's feature
    *(
        (f"main_blocks.I.J.{number}.{theirs}", f"davit.I.pairs.J.{kind}.{ours}")
        for number, kind in enumerate(KINDS)
        for theirs, ours in (("cpe.0.proj", "place1"), ("cpe.1.proj", "place2"), *INSIDE)
    ),
)
TIMM = (
    ("stem.conv", "davit.0.embed.conv"),
    ("stem.norm", "davit.0.embed.norm"),
    ("stages.I.downsample.conv", "davit.I.embed.conv"),
    ("stages.I.downsample.norm", "davit.I.embed.norm"),
    *(
        (f"stages.I.blocks.J.{number}.{theirs}", f"davit.I.pairs.J.{kind}.{ours}")
        for number, kind in enumerate(KINDS)
        for theirs, ours in (("cpe1.proj", "place1"), ("cpe2.proj", "place2"), *INSIDE)
    ),
)


def genes(tensors: Mapping[str, Tensor], head: int = HEAD) -> dict[str, Any]:
    found: dict[str, Any] = {"davit.mask": "1" * STAGES}
    for i in range(STAGES):
        stage, block = f"davit.{i}", f"davit.blocks.{i}"
        kinds = [kind for kind in KINDS if f"{stage}.pairs.0.{kind}.norm1.weight" in tensors]
        patches = tensors[f"{stage}.embed.conv.weight"]
        hidden, width = tensors[f"{stage}.pairs.0.{kinds[0]}.feed.up.weight"].shape
        found |= {
            f"{block}.depth": count(tensors, f"{stage}.pairs."),
            f"{block}.width": width,
            f"{block}.head": head,
            f"{block}.expand": hidden // width,
            f"{block}.window": WINDOW,
            f"{block}.order": "-".join(kinds),
        }
        if i:
            found[f"{block}.embed"] = patches.shape[-1]
    return found


def convert(name: str, tensor: Tensor) -> Tensor:
    """Return a tensor as ours lies: queries, keys and values on an axis of their own.

    Between channels, theirs weigh keys by values to sum queries; ours call these queries, keys and values.
    """
    if name.endswith((".qkv", ".qkv_bias")):
        tensor = tensor.unflatten(0, (3, -1))
        return tensor[[1, 2, 0]] if ".channel." in name else tensor
    return tensor


LAYOUTS = (
    Layout(
        "DaViT in its authors' layout",
        "hrnet_davit",
        lambda names: any(name.startswith("main_blocks.") for name in names),
        AUTHORS,
        genes,
        convert,
    ),
    Layout(
        "timm's DaViT",
        "hrnet_davit",
        lambda names: any(name.startswith("stages.") and name.endswith(".cpe1.proj.weight") for name in names),
        TIMM,
        genes,
        convert,
    ),
)
