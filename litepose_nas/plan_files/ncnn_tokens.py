"""Tokens in ncnn: a matrix with a row for each token of each sequence. ncnn has four axes at most, and no batches.

Orders of Permute are numbers of its own: 1 turns the two inner axes of two or three, and 2 the second and third from
within; of four axes c d h w, 8 makes d c h w of c h d w, 10 makes d w c h, 12 makes h c d w, 13 makes h c w d.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from litepose_nas.blocks.block import ceil_div
from litepose_nas.blocks.graph import Node
from litepose_nas.plan_files.ncnn_layers import NcnnLayers


def _tokens(layers: NcnnLayers, node: Node, x: str) -> str:
    count, length, c = node.shape
    return layers.turned(layers.shaped(x, c, count * length), 1)


def _feature(layers: NcnnLayers, node: Node, x: str) -> str:
    """Windows stand one below the other."""
    c, h, w = node.shape
    return layers.shaped(layers.turned(x, 1), c, node.inputs[0].shape[0] * h, w)


def _cut(layers: NcnnLayers, node: Node, x: str) -> str:
    (h, w), side, (count, _, c) = node.size, node.kernel, node.shape
    down, right = -h % side, -w % side
    if down or right:
        x = layers.add(f"Padding 1={right} 8={down}", [layers.shaped(x, h, w, c)])
    if count > 1:
        x = layers.turned(layers.shaped(x, (h + down) // side, side, (w + right) // side, side * c), 2)
    return layers.shaped(x, count * side * side, c)


def _join(layers: NcnnLayers, node: Node, x: str) -> str:
    (h, w), side, c = node.size, node.kernel, node.shape[2]
    rows, columns = ceil_div(h, side), ceil_div(w, side)
    if rows * columns > 1:
        x = layers.turned(layers.shaped(x, rows, columns, side, side * c), 2)
    if (rows * side, columns * side) != (h, w):
        x = layers.shaped(x, rows * side, columns * side, c)
        x = layers.add(f"Crop 0=0 1=0 2=0 3={c} 4={w} 5={h}", [x])
    return layers.shaped(x, h * w, c)


def _unfold(layers: NcnnLayers, node: Node, x: str) -> str:
    (c, h, w), patch = node.inputs[0].shape, node.kernel
    x = layers.turned(layers.shaped(x, c * h // patch, patch, w // patch, patch), 10)
    x = layers.turned(layers.shaped(x, patch * patch, c, h * w // patch**2), 1)
    return layers.shaped(x, h * w, c)


def _fold(layers: NcnnLayers, node: Node, x: str) -> str:
    (c, h, w), patch = node.shape, node.kernel
    x = layers.turned(layers.shaped(x, patch * patch, h * w // patch**2, c), 1)
    x = layers.turned(layers.shaped(x, patch, patch, c * h // patch, w // patch), 13)
    return layers.shaped(x, c, h, w)


def _attention(layers: NcnnLayers, node: Node, x: str) -> str:
    """Each head of each sequence is a head to ncnn."""
    (sequences, length, inner), heads = node.shape, node.groups
    each = inner // heads
    if sequences == 1:
        x = layers.turned(layers.shaped(x, length, 3 * heads, each), 2)
    else:
        x = layers.turned(layers.shaped(x, sequences, length, 3 * heads, each), 12)
        x = layers.shaped(x, 3 * heads * sequences, length, each)
    found = _found(layers, _thirds(layers, x), node.scale)
    if sequences == 1:
        return layers.shaped(layers.turned(found, 2), length, inner)
    found = layers.turned(layers.shaped(found, heads, sequences, length, each), 8)
    return layers.shaped(found, sequences * length, inner)


def _channel_attention(layers: NcnnLayers, node: Node, x: str) -> str:
    """Channels are to ncnn what tokens are, so the matrix is turned before and behind."""
    (sequences, length, inner), heads = node.shape, node.groups
    assert sequences == 1
    x = layers.shaped(layers.turned(x, 1), 3 * heads, inner // heads, length)
    return layers.turned(layers.shaped(_found(layers, _thirds(layers, x), node.scale), inner, length), 1)


def attend(layers: NcnnLayers, node: Node, x: Sequence[str], bias: np.ndarray | None) -> str:
    sequences, length, values = node.shape
    q, k, v = (layers.shaped(one, *feature.shape) for one, feature in zip(x, node.inputs, strict=True))
    biases = []
    if bias is not None:
        layers.write(bias)
        biases = [layers.add(f"MemoryData 0={bias.shape[1]} 1={bias.shape[0]}", [])]
    return layers.shaped(_found(layers, [q, k, v, *biases], node.scale), sequences * length, values)


def _found(layers: NcnnLayers, inputs: Sequence[str], scale: float) -> str:
    return layers.add(f"SDPA 5={int(len(inputs) > 3)} 6={scale:.9f}", inputs)


def _thirds(layers: NcnnLayers, x: str) -> list[str]:
    names = [f"{x}_{i}" for i in range(3)]
    layers.line("Slice", [x], names, "-23300=3,-233,-233,-233 1=0")
    return names


TOKEN_LAYERS: Mapping[str, Callable[[NcnnLayers, Node, str], str]] = {
    "tokens": _tokens,
    "feature": _feature,
    "cut": _cut,
    "join": _join,
    "unfold": _unfold,
    "fold": _fold,
    "attention": _attention,
    "channel_attention": _channel_attention,
}
