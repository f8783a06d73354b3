"""The numbers in a network's file: random ones, or those of a network, with normalisations folded into convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from litepose_nas.blocks.graph import Graph, Node

EPSILON = 1e-5  # torch's, of both normalisations
BRANCH = 0.25  # of random numbers where a branch ends: sums of many would grow out of all bounds
MOVES = ("tokens", "feature", "join", "crop", "deal", "repeat")
State = Mapping[str, np.ndarray]


class NodeNumbers(NamedTuple):
    """Of one node: of a convolution or a linear map, or the scale and shift of a normalisation."""

    weight: np.ndarray
    bias: np.ndarray | None


def numbers_of(graph: Graph, state: State | None = None, seed: int = 0) -> dict[int, NodeNumbers]:
    """The numbers of each node that has some, by its place; random ones keep features at their size."""
    rng, ends = np.random.default_rng(seed), _branch_ends(graph)
    found = {}
    for i, node in enumerate(graph.nodes):
        if node.path:
            found[i] = _random(node, rng, BRANCH if i in ends else 1) if state is None else _folded(node, state)
    return found


def _branch_ends(graph: Graph) -> set[int]:
    """The last operations before sums."""
    ends = {feature.number for node in graph.nodes if node.kind == "add" for feature in node.inputs}
    for i, node in reversed(list(enumerate(graph.nodes))):
        if i in ends and node.kind in MOVES:
            ends.add(node.inputs[0].number)
    return ends


def weight_shape(node: Node) -> tuple[int, ...]:
    """As torch has it; of attention it is what is added to the scores."""
    if node.kind == "attend":
        return node.inputs[0].shape[1], node.inputs[1].shape[1]
    cin, cout, k = node.inputs[0].channels, channels_out(node), node.kernel
    shapes = {
        "conv": (cout, cin // node.groups, k, k),
        "deconv": (cin, cout // node.groups, k, k),
        "linear": (cout, cin),
    }
    return shapes.get(node.kind, (cout,))


def channels_out(node: Node) -> int:
    return node.shape[-1 if node.inputs[0].tokens else 0]


def behind(node: Node) -> tuple[int, int]:
    """How many rows and columns of zeros stand behind a convolution's input: as many as before, or as it needs."""
    pad, k = (node.kernel - 1) // 2, node.kernel
    rows, columns = (
        max(pad, (made - 1) * node.stride + k - pad - read)
        for made, read in zip(node.shape[1:], node.inputs[0].shape[1:], strict=True)
    )
    return rows, columns


def shares(length: int, parts: int) -> np.ndarray:
    """Means of a row as a matrix: the areas of `averages`, as torch's adaptive pooling has them."""
    matrix = np.zeros((length, parts), np.float32)
    for part in range(parts):
        first, last = part * length // parts, -(-(part + 1) * length // parts)
        matrix[first:last, part] = 1 / (last - first)
    return matrix


def _random(node: Node, rng: np.random.Generator, gain: float) -> NodeNumbers:
    shape, channels = weight_shape(node), channels_out(node)
    if node.kind == "attend":
        return NodeNumbers(rng.standard_normal(shape, np.float32), None)
    if node.kind in ("batch_norm", "layer_norm"):
        return NodeNumbers(np.ones(channels, np.float32), np.zeros(channels, np.float32))
    seen = math.prod(shape[1:]) if node.kind != "deconv" else shape[0] // node.groups * node.kernel**2 / 4
    size = np.float32(gain * ((2 if node.act else 1) / seen) ** 0.5)
    weight = np.where(rng.integers(0, 2, shape, dtype=bool), size, -size)  # a kit packs signs well
    biased = node.bias or node.norm
    return NodeNumbers(weight, rng.standard_normal(channels, np.float32) * np.float32(0.1) if biased else None)


def _folded(node: Node, state: State) -> NodeNumbers:
    if node.kind == "batch_norm":
        return NodeNumbers(*_scale(node.path, state))
    weight, bias = state[f"{node.path}.weight"], state.get(f"{node.path}.bias")
    if not node.norm:
        return NodeNumbers(weight, bias)
    scale, shift = _scale(node.norm, state)
    if node.kind == "deconv":  # its weight has what comes out in the second axis, group by group
        grouped = weight.reshape(node.groups, -1, *weight.shape[1:]) * scale.reshape(node.groups, 1, -1, 1, 1)
        weight = grouped.reshape(weight.shape)
    else:
        weight = weight * scale.reshape(-1, 1, 1, 1)
    return NodeNumbers(weight, shift if bias is None else shift + scale * bias)


def _scale(path: str, state: State) -> tuple[np.ndarray, np.ndarray]:
    scale = state[f"{path}.weight"] / np.sqrt(state[f"{path}.running_var"] + EPSILON)
    return scale, state[f"{path}.bias"] - scale * state[f"{path}.running_mean"]
