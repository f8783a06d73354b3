"""HigherHRNet's weights in its official layout, alone or joined with DaViT; HRNet's, from ImageNet or top-down, too."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from litepose_nas.importers import davit
from litepose_nas.importers.layout import Layout, count

BRANCHES = 4
FUSION_HEAD = 16  # channels of a head of the published fusion's DaViT
TWO = tuple((f"{word}{n}", f"{ours}.{word}") for n, ours in ((1, "first"), (2, "second")) for word in ("conv", "bn"))
PAIRS = (
    *((f"{word}{n}", f"stem.{n - 1}.mix.{word}") for n in (1, 2) for word in ("conv", "bn")),
    *(
        (f"layer1.J.{word}{n}", f"bottlenecks.J.{ours}.{word}")
        for n, ours in enumerate(("reduce", "mix", "expand"), 1)
        for word in ("conv", "bn")
    ),
    ("layer1.J.downsample.0", "bottlenecks.J.project.conv"),
    ("layer1.J.downsample.1", "bottlenecks.J.project.bn"),
    ("transition1.0.0", "enter.0.mix.conv"),
    ("transition1.0.1", "enter.0.mix.bn"),
    *(
        (f"transition{i}.{i}.0.{n}", f"enter.{i}.mix.{word}")
        for i in range(1, BRANCHES)
        for n, word in enumerate(("conv", "bn"))
    ),
    *((f"stageS.M.branches.I.J.{theirs}", f"stages.S.M.branches.I.J.{ours}") for theirs, ours in TWO),
    ("stageS.M.fuse_layers.I.J.K.0", "stages.S.M.fuse.I.paths.J.K.conv"),
    ("stageS.M.fuse_layers.I.J.K.1", "stages.S.M.fuse.I.paths.J.K.bn"),
    ("stageS.M.fuse_layers.I.J.K", "stages.S.M.fuse.I.paths.J.K"),
    ("final_layers.I", "head.out.I.conv"),
    ("deconv_layers.I.0.0.feature", "head.up.I.refined"),
    ("deconv_layers.I.0.0.answer", "head.up.I.raw"),
    ("deconv_layers.I.0.1", "head.up.I.bn"),
    *((f"deconv_layers.I.D.0.{theirs}", f"head.mix.I.D.{ours}") for theirs, ours in TWO),
)
LESS = {"S": 2, "D": 1}  # the first stage with branches is the second there; a deconv and its blocks are one list
JOINS = tuple(
    pair
    for i, size in enumerate((128, 64, 32, 16))  # of the map at 512 px
    for pair in (
        (f"conv_{size}.main", f"join.{i}.concat.first"),
        (f"conv_{size}.side", f"join.{i}.concat.second"),
        (f"bn1_{size}", f"join.{i}.concat.bn"),
    )
)
NOBODY = " (read by nobody here)"


def unpack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut in two the tensors that weigh two features side by side: ours are two."""
    cut: dict[str, Tensor] = {}
    last = count(state, "stage4.") - 1
    for name, tensor in state.items():
        if found := re.fullmatch(r"(deconv_layers\.(\d+)\.0\.0)\.weight", name):
            width = state[f"final_layers.{found[2]}.weight"].shape[1]
            cut |= {f"{found[1]}.feature.weight": tensor[:width], f"{found[1]}.answer.weight": tensor[width:]}
        elif found := re.fullmatch(r"(conv_\d+)\.weight", name):
            main, side = tensor[:, : len(tensor)], tensor[:, len(tensor) :]
            cut |= {f"{found[1]}.main.weight": main, f"{found[1]}.side.weight": side}
        elif re.match(rf"stage4\.{last}\.fuse_layers\.[1-9]", name):
            cut[f"{name}{NOBODY}"] = tensor  # a classifier's last exchange has all branches
        else:
            cut[name] = tensor
    return cut


def genes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what the shapes tell; of a file without the deconv head, nothing about that."""
    found: dict[str, Any] = {
        "stem": len(tensors["stem.0.mix.conv.weight"]),
        "bottlenecks.depth": count(tensors, "bottlenecks."),
        "bottlenecks.width": len(tensors["bottlenecks.0.reduce.conv.weight"]),
        "davit.mask": "0" * BRANCHES,
    }
    for i in range(BRANCHES):
        found[f"branches.{i}.width"] = len(tensors[f"enter.{i}.mix.conv.weight"])
    for s in range(BRANCHES - 1):
        found[f"stages.{s}.depth"] = count(tensors, f"stages.{s}.")
        for m in range(found[f"stages.{s}.depth"]):
            found[f"stages.{s}.blocks.{m}.depth"] = count(tensors, f"stages.{s}.{m}.branches.0.")
    if "head.out.0.conv.weight" in tensors:
        found["head.depth"] = count(tensors, "head.up.")
        for i in range(found["head.depth"]):
            found[f"head.blocks.{i}.width"] = len(tensors[f"head.up.{i}.bn.weight"])
            found[f"head.blocks.{i}.depth"] = count(tensors, f"head.mix.{i}.")
    return found


def fusion_genes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {**genes(tensors), **davit.genes(tensors, FUSION_HEAD), "davit.join": "concat3"}


def _has_davit(names: Collection[str]) -> bool:
    return any(name.startswith("davit.main_blocks.") for name in names)


LAYOUTS = (
    Layout(
        "HigherHRNet in its official layout",
        "hrnet_davit",
        lambda names: "stage2.0.fuse_layers.0.1.0.weight" in names and not _has_davit(names),
        PAIRS,
        genes,
        less=LESS,
        unpack=unpack,
    ),
    Layout(
        "the published fusion of HigherHRNet and DaViT",
        "hrnet_davit",
        lambda names: "stage2.0.fuse_layers.0.1.0.weight" in names and _has_davit(names),
        (*((f"davit.{theirs}", ours) for theirs, ours in davit.AUTHORS), *JOINS, *PAIRS),
        fusion_genes,
        davit.convert,
        LESS,
        unpack=unpack,
    ),
)
