"""EfficientViT's weights (CVPR 2023) in timm's layout, as backbones of LEViTPose's family.

There a head of a cascade has a band of neighbouring channels, here every so manyth one. So the channels of each stage
are dealt anew, wherever they go in or come out; what happens inside a head stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from litepose_nas.importers.layout import Layout

STAGES, KEY = 3, 16  # queries and keys of a head are as wide in every released network; no single shape tells it
STEM = 4  # convolutions
_QKV = re.compile(r"(stages\.\d+\.blocks\.\d+\.mixer\.m\.attn\.qkvs\.\d+)\.(conv|bn)\.(\w+)")

NORMED = (  # each has a convolution and its normalisation
    ("patch_embed.convK", "embedding.conv3x4.K"),
    *(
        (f"stages.I.{theirs}", f"stages.I.{ours}")
        for there, here in (
            (("downsample.res1.0.m", "downsample.res1.1.m"), "down.before"),
            (("downsample.res2.0.m", "downsample.res2.1.m"), "down.after"),
            (("blocks.J.dw0.m", "blocks.J.ffn0.m"), "J.before"),
            (("blocks.J.dw1.m", "blocks.J.ffn1.m"), "J.after"),
        )
        for theirs, ours in (
            (there[0], f"{here}.dw"),
            (f"{there[1]}.pw1", f"{here}.up"),
            (f"{there[1]}.pw2", f"{here}.down"),
        )
    ),
    ("stages.I.downsample.patchmerge.conv1", "stages.I.down.merge.up"),
    ("stages.I.downsample.patchmerge.conv2", "stages.I.down.merge.dw"),
    ("stages.I.downsample.patchmerge.conv3", "stages.I.down.merge.down"),
    ("stages.I.blocks.J.mixer.m.attn.dws.H", "stages.I.J.window.heads.H.dw"),
    *(
        (f"stages.I.blocks.J.mixer.m.attn.qkvs.H.{part}", f"stages.I.J.window.heads.H.{part}")
        for part in ("q", "k", "v")
    ),
)
NAMES = (
    *((f"{theirs}.{word}", f"{ours}.{word}") for theirs, ours in NORMED for word in ("conv", "bn")),
    ("stages.I.downsample.patchmerge.se.fc1", "stages.I.down.merge.squeeze"),
    ("stages.I.downsample.patchmerge.se.fc2", "stages.I.down.merge.excite"),
    ("stages.I.blocks.J.mixer.m.attn.proj.1.conv", "stages.I.J.window.project"),
    ("stages.I.blocks.J.mixer.m.attn.proj.1.bn", "stages.I.J.window.project.bn"),
    ("stages.I.blocks.J.mixer.m.attn.distances", "stages.I.J.window"),
)
# Where the channels of a stage go in (axis 1 of a convolution) and where they come out (axis 0, and its normalisation).
_GOES_IN = (r"blocks\.\d+\.ffn[01]\.m\.pw1", r"downsample\.res2\.1\.m\.pw1")
_COMES_OUT = (
    *(r"blocks\.\d+\.dw[01]\.m", r"blocks\.\d+\.ffn[01]\.m\.pw2", r"blocks\.\d+\.mixer\.m\.attn\.proj\.1"),
    *(r"downsample\.patchmerge\.conv3", r"downsample\.res2\.0\.m", r"downsample\.res2\.1\.m\.pw2"),
)
_NEXT_GOES_IN = (r"downsample\.res1\.1\.m\.pw1", r"downsample\.patchmerge\.conv1")
_NEXT_COMES_OUT = (r"downsample\.res1\.0\.m", r"downsample\.res1\.1\.m\.pw2")


def unpack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return queries, keys and values apart, and the channels of every stage dealt to heads as ours are."""
    unpacked: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if found := _QKV.fullmatch(name):
            parts = tensor.split((KEY, KEY, len(tensor) - 2 * KEY)) if tensor.dim() else (tensor,) * 3
            unpacked |= {f"{found[1]}.{p}.{found[2]}.{found[3]}": t for p, t in zip("qkv", parts, strict=True)}
        else:
            unpacked[name.replace(".attention_biases", ".distances.bias")] = tensor
    for i in range(STAGES):
        heads, order = _dealing(state, i)
        own, following = rf"stages\.{i}\.", rf"stages\.{i + 1}\."
        for name, tensor in unpacked.items():
            if not tensor.dim():
                continue
            comes_out = _begins(name, own, _COMES_OUT) or _begins(name, following, _NEXT_COMES_OUT)
            if comes_out or (i == 0 and name.startswith(f"patch_embed.conv{STEM}.")):
                unpacked[name] = tensor = tensor[order]
            elif name.endswith("conv.weight") and (
                _begins(name, own, _GOES_IN) or _begins(name, following, _NEXT_GOES_IN)
            ):
                unpacked[name] = tensor[:, order]
            if re.match(rf"{own}.*\.attn\.proj\.1\.conv\.weight", name):
                unpacked[name] = tensor.flatten(1).unflatten(1, (heads, -1))
    return unpacked


def _dealing(state: Mapping[str, Tensor], stage: int) -> tuple[int, Tensor]:
    """Return how many heads a stage has, and which of their channels stands at each of our places."""
    attention = f"stages.{stage}.blocks.0.mixer.m.attn"
    heads = sum(name.startswith(f"{attention}.dws.") and name.endswith(".conv.weight") for name in state)
    width = len(state[f"{attention}.proj.1.conv.weight"])
    return heads, torch.arange(width).view(heads, -1).T.flatten()


def _begins(name: str, stage: str, parts: tuple[str, ...]) -> bool:
    return any(re.match(rf"{stage}{part}\.(conv|bn)\.", name) for part in parts)


def convert(name: str, tensor: Tensor) -> Tensor:
    """Return a tensor as ours lies: biases by distance are a square."""
    if name.endswith(".window.bias"):
        side = round(tensor.shape[1] ** 0.5)
        return tensor.unflatten(1, (side, side))
    return tensor


def genes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    found: dict[str, Any] = {"embedding": "conv3x4"}
    for i in range(STAGES):
        stage = f"stages.{i}"
        blocks = {name.split(".")[2] for name in tensors if re.match(rf"stages\.{i}\.\d+\.", name)}
        first = f"{stage}.0.window"
        heads = sum(name.startswith(f"{first}.heads.") and name.endswith(".dw.conv.weight") for name in tensors)
        kernels = [tensors[f"{first}.heads.{j}.dw.conv.weight"].shape[-1] for j in range(heads)]
        hidden, width = tensors[f"{stage}.0.before.up.conv.weight"].shape[:2]
        found |= {
            f"{stage}.depth": len(blocks),
            f"{stage}.width": width,
            f"{stage}.attention": f"window{tensors[f'{first}.bias'].shape[1]}",
            f"{stage}.heads": "-".join(map(str, kernels)),
            f"{stage}.key": KEY,
            f"{stage}.expand": hidden // width,
        }
        if i:
            found[f"{stage}.down"] = "merge"
    return found


LAYOUTS = (
    Layout(
        "timm's EfficientViT",
        "levitpose",
        lambda names: any(_QKV.fullmatch(name) for name in names),
        NAMES,
        genes,
        convert,
        {"K": 1},
        unpack=unpack,
    ),
)
