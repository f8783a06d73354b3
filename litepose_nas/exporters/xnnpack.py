"""A network in operations that XNNPACK is fast at, with what stands around it in a file: for LiteRT and ExecuTorch."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
from torch import nn

from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.graph_module import GraphModule, for_xnnpack
from litepose_nas.rewrites.cut_kernels import CutConv2d


def xnnpack_module(what: Exported, format: str) -> nn.Module:
    what.check_single(format)
    rewritten = for_xnnpack(*what.graph(format))
    return copy.deepcopy(what.net, {id(what.core): rewritten}).eval()  # the copy has it in the network's place


def layer_names(module: nn.Module) -> dict[int, str]:
    """The layers of what `xnnpack_module` made, under the names that they had, by the numbers of their nodes."""
    path, graph = network_in(module)
    names = enumerate(graph.nodes)
    return {i: f"{path}{node.path}" for i, node in names if node.kind in ("conv", "deconv", "linear")}


def layer_weights(module: nn.Module) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Each layer with its weights, which may be in pieces."""
    _, graph = network_in(module)
    for i, name in layer_names(module).items():
        if graph.nodes[i].kind == "conv":
            conv = graph.convs[str(i)]
            weights = list(conv.weights) if isinstance(conv, CutConv2d) else [conv.get_parameter("weight")]
        else:
            weights = [graph.get_buffer(f"weight{i}")]
        yield name, [each.detach().numpy() for each in weights]


def network_in(module: nn.Module) -> tuple[str, GraphModule]:
    """The network, and what stands in front of its layers' names."""
    path, graph = next((path, each) for path, each in module.named_modules() if isinstance(each, GraphModule))
    return f"{path}." if path else "", graph
