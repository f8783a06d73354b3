"""The part of an ONNX model that makes joints of maps: its numbers are places, which few bits cannot tell apart."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from litepose_nas.optional import need

CONVOLUTIONS = ("Conv", "ConvTranspose")
WEIGHT = ".weight"  # in the name of a layer's weights, whatever stands behind it


def decoding(model: Any) -> set[str]:
    """The names of the nodes behind the last convolution of a network, by which it ends."""
    takers: dict[str, list[Any]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            takers[name].append(node)
    found: set[str] = set()
    for node in reversed(model.graph.node):  # in the order in which they are computed: what takes a tensor is later
        behind = [taker for name in node.output for taker in takers[name]]
        if not _layer(node) and all(taker.name in found for taker in behind):
            found.add(node.name)
    return found


def in_two(model: Any) -> tuple[Any, Any]:
    """A model without its decoding, whose outputs are what the decoding reads, and the decoding as a graph."""
    utils, names = need("onnx.utils", "export"), decoding(model)
    behind = type(model.graph).FromString(model.graph.SerializeToString())
    kept = [node for node in model.graph.node if node.name in names]
    del behind.node[:]
    behind.node.extend(kept)
    made = {name for node in model.graph.node if node.name not in names for name in node.output}
    read = dict.fromkeys(name for node in kept for name in node.input if name in made)
    front = utils.Extractor(model).extract_model([each.name for each in model.graph.input], list(read))
    need("onnx.helper", "export").set_model_props(front, {each.key: each.value for each in model.metadata_props})
    return front, behind


def put_behind(front: Any, behind: Any) -> None:
    """Join what `in_two` took apart; the constants of the decoding stay what they were."""
    constants = {each.name: f"{each.name}_decoding" for each in behind.initializer}
    used = {name for node in behind.node for name in node.input}
    for node in behind.node:
        for place, name in enumerate(node.input):
            node.input[place] = constants.get(name, name)
    for each in behind.initializer:
        if each.name in used:
            front.graph.initializer.append(each)
            front.graph.initializer[-1].name = constants[each.name]
    front.graph.node.extend(behind.node)
    del front.graph.output[:]
    front.graph.output.extend(behind.output)


def _layer(node: Any) -> bool:
    return node.op_type in CONVOLUTIONS and WEIGHT in node.input[1]
