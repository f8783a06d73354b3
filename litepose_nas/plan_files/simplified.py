"""A graph with less to do: what only scales or reorders channels is done to the weights beside it, once."""

from __future__ import annotations

from collections import Counter

import numpy as np

from litepose_nas.blocks.graph import Graph, Node
from litepose_nas.plan_files.numbers import NodeNumbers

SAME = "same"  # the kind of a node that gives what it reads: no other node's number changes
Nodes = list[Node]
Numbers = dict[int, NodeNumbers]


def simplified(graph: Graph, numbers: Numbers) -> tuple[Nodes, Numbers]:
    """Nodes and numbers; places in both are those of the graph's nodes."""
    nodes, numbers = list(graph.nodes), dict(numbers)
    uses = Counter(feature.number for node in nodes for feature in node.inputs)
    uses.update(feature.number for feature in graph.outputs)
    for i, node in enumerate(nodes):
        if node.kind == "batch_norm":
            _fold_norm(i, nodes, numbers, uses)
    for i, node in enumerate(nodes):
        if node.kind == "deal":
            _ = _order_before(i, nodes, numbers, uses) or _order_behind(i, nodes, numbers, graph)
    return nodes, numbers


def dealt(channels: int, lanes: int) -> np.ndarray:
    """Which channel comes to stand at each place."""
    return np.arange(channels).reshape(-1, lanes).T.ravel()


def _fold_norm(i: int, nodes: Nodes, numbers: Numbers, uses: Counter[int]) -> None:
    """Into the convolution before it, or into both whose sum it reads."""
    scale, shift = numbers[i]
    assert shift is not None
    at = nodes[i].inputs[0].number
    while at >= 0 and nodes[at].kind == "deal" and uses[at] == 1 and not nodes[at].act:
        order = dealt(len(scale), nodes[at].groups)
        scale, shift = scale[np.argsort(order)], shift[np.argsort(order)]
        at = nodes[at].inputs[0].number
    if at < 0:
        return
    added = [each.number for each in nodes[at].inputs] if nodes[at].kind == "add" else [at]
    if not all(_alone(one, nodes, uses) for one in {at, *added}):
        return
    if not all(one >= 0 and nodes[one].kind in ("conv", "deconv") for one in added):
        return
    for one, moved in zip(added, (shift, np.zeros_like(shift)), strict=False):
        weight, bias = numbers[one]
        if nodes[one].kind == "deconv":
            grouped = weight.reshape(nodes[one].groups, -1, *weight.shape[1:])
            weight = (grouped * scale.reshape(nodes[one].groups, 1, -1, 1, 1)).reshape(weight.shape)
        else:
            weight = weight * scale.reshape(-1, 1, 1, 1)
        numbers[one] = NodeNumbers(weight, moved if bias is None else moved + scale * bias)
    nodes[i] = nodes[i]._replace(kind=SAME, path="")
    del numbers[i]


def _alone(i: int, nodes: Nodes, uses: Counter[int]) -> bool:
    return i >= 0 and uses[i] == 1 and not nodes[i].act


def _order_before(i: int, nodes: Nodes, numbers: Numbers, uses: Counter[int]) -> bool:
    """Let the only convolution that is read make its channels in the order in which they are needed."""
    at = nodes[i].inputs[0].number
    if at < 0 or uses[at] != 1 or nodes[at].kind != "conv" or nodes[at].groups != 1:
        return False
    order, (weight, bias) = dealt(nodes[i].shape[0], nodes[i].groups), numbers[at]
    numbers[at] = NodeNumbers(weight[order], None if bias is None else bias[order])
    nodes[i] = nodes[i]._replace(kind=SAME)
    return True


def _order_behind(i: int, nodes: Nodes, numbers: Numbers, graph: Graph) -> bool:
    """Let convolutions read channels in the order in which they are made, if nothing else reads them."""
    readers, seen = [], [i]
    for place, node in enumerate(nodes):
        if any(feature.number in seen for feature in node.inputs):
            if node.kind == SAME:
                seen.append(place)
            elif node.kind == "conv" and node.groups == 1:
                readers.append(place)
            else:
                return False
    if any(feature.number in seen for feature in graph.outputs):
        return False
    back = np.argsort(dealt(nodes[i].shape[0], nodes[i].groups))
    for place in readers:
        weight, bias = numbers[place]
        numbers[place] = NodeNumbers(weight[:, back], bias)
    nodes[i] = nodes[i]._replace(kind=SAME)
    return True
