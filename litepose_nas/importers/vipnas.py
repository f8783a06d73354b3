"""Released S-ViPNAS checkpoints, as mmpose 0.x and 1.x write them: the head alone has another name in each.

Torch deals channels to groups in the order of our lanes, so grouped weights only get their axes back. One thing moves:
the last feature of the backbone, which torch deals to the head's groups side by side and we in turn. Every tensor that
makes or reads that feature is permuted alike.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from litepose_nas.blocks.groups import group_lanes
from litepose_nas.importers.layout import Layout
from litepose_nas.space import Space

RES50, MBV3 = "s_vipnas_res50", "s_vipnas_mbv3"
DEPTHS = (1, 4, 4, 4, 4, 4)  # of the released MobileNetV3's stages: its blocks are numbered through
RES50_PARTS = {
    "conv1": "reduce.conv", "bn1": "reduce.bn", "conv2": "spatial.conv", "bn2": "spatial.bn",
    "conv3": "restore.conv", "bn3": "restore.bn", "downsample.0": "project.conv", "downsample.1": "project.bn",
    "attention.conv_mask": "context.mask", "attention.channel_add_conv.0": "context.down",
    "attention.channel_add_conv.1": "context.norm", "attention.channel_add_conv.3": "context.up",
}  # fmt: skip
MBV3_PARTS = {
    "expand_conv.conv": "expand.conv", "expand_conv.bn": "expand.bn", "depthwise_conv.conv": "spatial.conv",
    "depthwise_conv.bn": "spatial.bn", "se.conv1.conv": "gate.down", "se.conv2.conv": "gate.up",
    "linear_conv.conv": "project.conv", "linear_conv.bn": "project.bn",
}  # fmt: skip
# The axis of last-stage tensors that is the feature the head takes; what a first block takes in is another feature.
RES50_STREAM = {
    "restore": 0, "project": 0, "reduce.conv": 1, "context.mask.weight": 1, "context.down.weight": 1, "context.up": 0,
}  # fmt: skip
MBV3_STREAM = {"project": 0, "expand.conv": 1}
HEAD_NAMES = tuple(
    pair
    for head in ("head", "keypoint_head")
    for pair in (
        (f"{head}.final_layer", "heatmaps"),
        (f"{head}.final_layer.0", "heatmaps"),
        *(
            (f"{head}.deconv_layers.{3 * i + kind}", f"head.{i}.{word}")  # every third is an activation
            for i in range(3)
            for kind, word in enumerate(("conv", "bn"))
        ),
    )
)
RES50_NAMES = (
    *((f"backbone.{word}1", f"stem.conv.{word}") for word in ("conv", "bn")),
    *((f"backbone.layerI.J.{theirs}", f"stages.I.J.{ours}") for theirs, ours in RES50_PARTS.items()),
    *HEAD_NAMES,
)
MBV3_NAMES = (
    *((f"backbone.conv1.{word}", f"stem.conv.{word}") for word in ("conv", "bn")),
    *(
        (f"backbone.layer{number}.{theirs}", f"stages.{place}.{ours}")
        for number, place in enumerate((f"{i}.{j}" for i, depth in enumerate(DEPTHS) for j in range(depth)), 1)
        for theirs, ours in MBV3_PARTS.items()
    ),
    *HEAD_NAMES,
)


# ── ResNet-50 ──


def is_res50(names: Collection[str]) -> bool:
    """Tell it from any other ResNet by its attention."""
    return any(re.search(r"layer1\.0\.conv2\.weight$", name) for name in names) and any(
        ".attention.conv_mask." in name for name in names
    )


def res50_tensor(name: str, tensor: Tensor) -> Tensor:
    lanes, groups_min = _lanes(RES50)
    tensor = _permuted(name, tensor, 3, RES50_STREAM, lanes)
    if re.search(r"\.context\.(down|norm|up)\.", name):
        return tensor.flatten(1) if ".weight" in name and ".norm." not in name else tensor.flatten()
    if ".reduce.conv." in name:
        return tensor.flatten(1).unflatten(0, (lanes, -1))
    if ".restore.conv." in name:
        return tensor.flatten(1).unflatten(1, (lanes, -1))
    if ".spatial.conv." in name:
        return _grouped(tensor, lanes, groups_min, tensor.shape[0] // tensor.shape[1], tensor.shape[0])
    if (".reduce.bn." in name or ".spatial.bn." in name) and tensor.dim():
        return tensor.unflatten(0, (lanes, -1))
    return _head_tensor(name, tensor, lanes, groups_min, lanes)


def res50_genes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    genes = _shared_genes(tensors, RES50)
    for i, depth in enumerate(_depths(tensors)):
        block = f"stages.{i}.0"
        shape = tensors[f"{block}.spatial.conv.weight"].shape
        genes |= {
            f"stages.{i}.depth": depth,
            f"stages.{i}.width": tensors[f"{block}.restore.conv.weight"].shape[0],
            f"stages.{i}.kernel": shape[-1],
            f"stages.{i}.groups": _groups(shape, RES50, f"stages.{i}.groups"),
            f"stages.{i}.attention": int(f"{block}.context.mask.weight" in tensors),
        }
    return genes


# ── MobileNetV3 ──


def is_mbv3(names: Collection[str]) -> bool:
    """Tell it from any other MobileNetV3 by its number of blocks."""
    return f"backbone.layer{sum(DEPTHS)}.depthwise_conv.conv.weight" in names and (
        f"backbone.layer{sum(DEPTHS) + 1}.depthwise_conv.conv.weight" not in names
    )


def mbv3_tensor(name: str, tensor: Tensor) -> Tensor:
    lanes, groups_min = _lanes(MBV3)
    tensor = _permuted(name, tensor, len(DEPTHS) - 1, MBV3_STREAM, lanes)
    if ".spatial.conv." in name:
        size, width = _tree(MBV3).largest_group, tensor.shape[0]
        return _grouped(tensor, width, width // size, width // tensor.shape[1], width)
    if ".gate." in name and name.endswith("weight"):
        return tensor.flatten(1)
    # Its deconvs are depthwise: as many groups as weights going in.
    return _head_tensor(name, tensor, lanes, groups_min, tensor.shape[0] if tensor.dim() else lanes)


def mbv3_genes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    genes = _shared_genes(tensors, MBV3)
    for i, depth in enumerate(_depths(tensors)):
        block = f"stages.{i}.0"
        shape, width = tensors[f"{block}.spatial.conv.weight"].shape, tensors[f"{block}.project.conv.weight"].shape[0]
        genes |= {
            f"stages.{i}.kernel": shape[-1],
            f"stages.{i}.each": shape[3],
            f"stages.{i}.attention": int(f"{block}.gate.down.weight" in tensors),
        }
        if i > 0:
            inside = tensors[f"{block}.project.conv.weight"].shape[1]
            genes |= {f"stages.{i}.depth": depth, f"stages.{i}.width": width, f"stages.{i}.expand": inside // width}
    return genes


# ── both ──


@functools.cache
def _tree(space: str) -> Any:
    return Space.load(space).widest.tree


def _lanes(space: str) -> tuple[int, int]:
    return _tree(space).lanes, _tree(space).fewest_groups


def _head_tensor(name: str, tensor: Tensor, lanes: int, groups_min: int, groups: int) -> Tensor:
    if name.startswith("head.") and ".conv." in name:
        return _grouped(tensor, lanes, groups_min, groups, tensor.shape[1] * groups)
    if name.startswith("head.") and tensor.dim():
        return tensor.unflatten(0, (lanes, -1))
    return tensor.flatten(1).unflatten(1, (lanes, -1)) if name == "heatmaps.weight" else tensor


def _grouped(tensor: Tensor, lanes: int, groups_min: int, groups: int, across: int) -> Tensor:
    """Return a grouped weight with its axes; `across` counts all channels on the side of its second axis."""
    rows, columns = tensor.shape[0] // lanes, across // lanes
    _, per_group, split, inner = group_lanes(groups, lanes, groups_min, columns, rows)
    rest = per_group // split
    return tensor.reshape(groups_min, split, inner, rest, rows // inner, rest, columns // inner, *tensor.shape[2:])


def _permuted(name: str, tensor: Tensor, stage: int, stream: Mapping[str, int], lanes: int) -> Tensor:
    found = re.fullmatch(rf"stages\.{stage}\.(\d+)\.(.+)", name)
    if not found or not tensor.dim():
        return tensor
    axis = next((axis for part, axis in stream.items() if found[2].startswith(part)), None)
    if axis is None or (found[1] == "0" and found[2] in ("reduce.conv.weight", "expand.conv.weight")):
        return tensor
    each = tensor.shape[axis] // lanes
    return tensor.index_select(axis, torch.arange(lanes * each).view(lanes, each).t().flatten())


def _depths(tensors: Mapping[str, Tensor]) -> list[int]:
    blocks = {tuple(map(int, name.split(".")[1:3])) for name in tensors if name.startswith("stages.")}
    return [sum(i == stage for stage, _ in blocks) for i in range(1 + max(stage for stage, _ in blocks))]


def _shared_genes(tensors: Mapping[str, Tensor], space: str) -> dict[str, Any]:
    stem = tensors["stem.conv.conv.weight"].shape
    genes = {"entry.width": stem[0], "entry.kernel": stem[-1]}
    if "head.0.conv.weight" in tensors:
        shape = tensors["head.0.conv.weight"].shape
        genes |= {
            "head.width": tensors["head.0.bn.weight"].numel(),
            "head.kernel": shape[-1],
            "head.groups": _groups(shape, space, "head.groups"),
        }
    return genes


def _groups(shape: torch.Size, space: str, path: str) -> int:
    """Return the choice that makes so many groups; the largest makes one for each channel."""
    groups_min, split, inner = shape[:3]
    largest: int = next(gene.choices[0] for gene in Space.load(space).genes if gene.path == path)
    return largest if inner > 1 else groups_min * split


LAYOUTS = (
    Layout("mmpose's S-ViPNAS on ResNet-50", RES50, is_res50, RES50_NAMES, res50_genes, res50_tensor, {"I": 1}),
    Layout("mmpose's S-ViPNAS on MobileNetV3", MBV3, is_mbv3, MBV3_NAMES, mbv3_genes, mbv3_tensor),
)
