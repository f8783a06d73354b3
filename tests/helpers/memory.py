"""The most activations alive at once, found by tracing a network: the judge of the analytic figure.

A tensor lives from the node that makes it to its last reader; the results live to the end. Views share memory. A
normalisation, an activation, a sum or a product writes over the newest tensor it reads when that one is as large and
nobody reads it later. Weights, what is computed from them alone, and the scratch space of kernels do not count.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Interpreter, Node
from torch.fx.experimental.proxy_tensor import make_fx

OVERWRITES = {"batch_norm", "add", "mul", "relu", "hardtanh", "relu6", "hardswish", "silu", "gelu"}


class Recorder(Interpreter):
    """Runs a traced network and keeps what every node makes, so that no two tensors have the same memory by chance."""

    def __init__(self, module: Any):
        super().__init__(module, garbage_collect_values=False)
        self.made: dict[Node, list[Tensor]] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        items = value if isinstance(value, (tuple, list)) else (value,)
        self.made[n] = [item for item in items if isinstance(item, Tensor)]
        return value


def traced_peak(net: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Return the largest number of elements alive at once while a network on the meta device runs."""
    with torch.no_grad():
        traced = make_fx(net, pre_dispatch=True)(*inputs)
        recorder = Recorder(traced)
        recorder.run(*inputs)
    nodes: dict[Node, None] = {}  # what depends on the picture, in order
    for node in traced.graph.nodes:
        if node.op == "placeholder" or any(source in nodes for source in node.all_input_nodes):
            nodes[node] = None
    made = {node: {memory(t): elements(t) for t in recorder.made[node]} for node in nodes}
    reads = {node: {m for source in node.all_input_nodes if source in made for m in made[source]} for node in nodes}
    last = {name: i for i, node in enumerate(nodes) for name in reads[node]}
    alive: dict[int, int] = {}  # in order of making
    for node in nodes:
        if node.op == "placeholder":
            alive.update({name: size for name, size in made[node].items() if name in last})
    peak = 0
    for i, node in enumerate(nodes):
        if node.op != "call_function":
            continue
        for name, size in made[node].items():
            if name not in alive:
                newest = [other for other in alive if other in reads[node]][-1]
                if kind(node) in OVERWRITES and last[newest] == i and alive[newest] == size:
                    del alive[newest]
                alive[name] = size
        peak = max(peak, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, -1) > i}
    return peak


def memory(tensor: Tensor) -> int:
    """Return what tells one piece of memory from another."""
    return tensor.untyped_storage()._cdata


def elements(tensor: Tensor) -> int:
    """Return how many elements lie in a tensor's memory."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()


def kind(node: Node) -> str:
    """Return the plain name of an operator: relu for aten.relu_.default."""
    return str(getattr(node.target, "__name__", node.target)).split(".")[0].rstrip("_")
