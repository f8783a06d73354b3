"""The numbers in a network's file: random ones, or those of a network, with normalisations folded into convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from litepose_nas.blocks.graph import Graph, Node

EPSILON = 1e-5  # torch's, of both normalisations
State = Mapping[str, np.ndarray]


class NodeNumbers(NamedTuple):
    """Of one node: of a convolution or a linear map, or the scale and shift of a normalisation."""

    weight: np.ndarray
    bias: np.ndarray | None


def numbers_of(graph: Graph, state: State | None = None, seed: int = 0) -> dict[int, NodeNumbers]:
    """The numbers of each node that has some, by its place; random ones keep features at their size."""
    rng = np.random.default_rng(seed)
    found = {}
    for i, node in enumerate(graph.nodes):
        if node.path:
            found[i] = _random(node, rng) if state is None else _folded(node, state)
    return found


def weight_shape(node: Node) -> tuple[int, ...]:
    """As torch has it."""
    cin, cout, k = node.inputs[0].shape[0], node.shape[0], node.kernel
    shapes = {
        "conv": (cout, cin // node.groups, k, k),
        "deconv": (cin, cout // node.groups, k, k),
        "linear": (node.shape[-1], node.inputs[0].shape[-1]),
        "layer_norm": node.shape[-1:],
    }
    return shapes.get(node.kind, (cout,))


def _random(node: Node, rng: np.random.Generator) -> NodeNumbers:
    shape = weight_shape(node)
    channels = node.shape[-1] if node.kind in ("linear", "layer_norm") else node.shape[0]
    if node.kind in ("batch_norm", "layer_norm"):
        return NodeNumbers(np.ones(channels, np.float32), np.zeros(channels, np.float32))
    seen = math.prod(shape[1:]) if node.kind != "deconv" else shape[0] // node.groups * node.kernel**2 / 4
    weight = rng.standard_normal(shape, np.float32) * np.float32((2 if node.act else 1) / seen) ** 0.5
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
