"""The most activations alive at once, found by tracing a network: the judge of the analytic figure.

A tensor lives from the node that makes it to its last reader; the results live to the end. Views share memory. A normalisation,
an activation or a sum writes over the newest tensor it reads when that one is as large and nobody reads it later. Weights, what
is computed from them alone, and the scratch space of kernels do not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.fx.experimental.proxy_tensor import make_fx

OVERWRITES = {"batch_norm", "add", "mul", "relu", "hardtanh", "relu6", "hardswish", "silu", "gelu", "softmax"}


def traced_peak(net: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Return the largest number of elements alive at once while a network on the meta device runs."""
    with torch.no_grad():
        graph = make_fx(net, pre_dispatch=True)(*inputs).graph
    nodes = [node for node in graph.nodes if node.op in ("placeholder", "call_function", "output")]
    moving: set[Node] = set()  # what depends on the picture
    for node in nodes:
        if node.op == "placeholder" or not moving.isdisjoint(node.all_input_nodes):
            moving.add(node)
    nodes = [node for node in nodes if node in moving]
    reads = [{memory(t) for source in node.all_input_nodes if source in moving for t in tensors(source)} for node in nodes]
    last = {name: i for i, names in enumerate(reads) for name in names}
    alive: dict[int, int] = {}  # in order of making
    peak = 0
    for node in nodes:
        if node.op == "placeholder":
            alive.update({memory(t): storage_elements(t) for t in tensors(node)})
    for i, node in enumerate(nodes):
        if node.op != "call_function":
            continue
        for tensor in tensors(node):
            if memory(tensor) not in alive:
                size = storage_elements(tensor)
                newest = [name for name in alive if name in reads[i]][-1]
                if kind(node) in OVERWRITES and last[newest] == i and alive[newest] == size:
                    del alive[newest]
                alive[memory(tensor)] = size
        peak = max(peak, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, -1) > i}
    return peak


def tensors(node: Node) -> Iterator[Tensor]:
    """Yield what a node makes."""
    value: Any = node.meta.get("val")
    for item in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(item, Tensor):
            yield item


def memory(tensor: Tensor) -> int:
    """Return what tells one piece of memory from another."""
    return tensor.untyped_storage()._cdata


def storage_elements(tensor: Tensor) -> int:
    """Return how many elements lie in a tensor's memory."""
    return math.ceil(tensor.untyped_storage().nbytes() / tensor.element_size())


def kind(node: Node) -> str:
    """Return the plain name of an operator: relu for aten.relu_.default."""
    return str(getattr(node.target, "__name__", node.target)).split(".")[0].rstrip("_")
