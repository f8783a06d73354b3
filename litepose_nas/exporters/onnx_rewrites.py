"""Exact changes of an ONNX graph before it is quantised: what is left has integer kernels and a scale for each channel.

ONNX Runtime has no integer kernel for deconvolutions, and no axis of a grouped one's weights is its outputs, for each
of which there should be a scale. A convolution that computes all s x s outputs behind an input, and DepthToSpace, say
the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litepose_nas.optional import need

Weights = NDArray[np.float32]
ALL = "_all"  # behind the name of a tensor: the same values, before DepthToSpace puts them in their places
ELEMENTWISE = ("Relu", "Clip", "HardSwish")  # with one input that counts: DepthToSpace may stand behind them as well


def prepared(model: Any, float_nodes: Collection[str] = ()) -> Any:
    """The model with normalisations behind deconvolutions folded, and deconvolutions as convolutions.

    Nodes that stay in floating point stay deconvolutions: the convolutions multiply with zeros, too.
    """
    model = type(model).FromString(model.SerializeToString())
    graph = OnnxGraph(model)
    _fold_norms(graph)
    for node in [node for node in graph.nodes if node.op_type == "ConvTranspose"]:
        if node.name not in float_nodes:
            _as_convolution(graph, node)
    _sink(graph)
    graph.drop_unused()
    return model


def convolution_weights(weight: Weights, groups: int, stride: int, pad: int) -> tuple[Weights, int]:
    """The weights of a convolution that computes all outputs behind an input, and how far it looks to either side.

    `weight` (in, out / groups, k, k) is a deconvolution's whose output is `stride` times as large as its input; the
    channels that come out are ordered by output channel, then by row and column, as DepthToSpace's CRD mode wants them.
    """
    inputs, outs, kernel, _ = weight.shape
    taps = [(tap, *divmod(tap - pad, stride)) for tap in range(kernel)]  # tap, how far the output's place is, phase
    reach = max(abs(away) for _, away, _ in taps)
    side = 2 * reach + 1
    split = weight.reshape(groups, inputs // groups, outs, kernel, kernel)
    made = np.zeros((groups, outs, stride, stride, inputs // groups, side, side), np.float32)
    for row, down, in_row in taps:
        for column, right, in_column in taps:
            place = split[..., row, column].transpose(0, 2, 1)
            made[:, :, in_row, in_column, :, reach - down, reach - right] = place
    return made.reshape(groups * outs * stride**2, inputs // groups, side, side), reach


class OnnxGraph:
    """A graph to be changed in place, with who makes and who takes each tensor."""

    def __init__(self, model: Any):
        self._numbers = need("onnx.numpy_helper", "export")
        self._helper = need("onnx.helper", "export")
        self.graph = model.graph

    @property
    def nodes(self) -> list[Any]:
        return list(self.graph.node)

    def makers(self) -> dict[str, Any]:
        return {name: node for node in self.graph.node for name in node.output}

    def takers(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for node in self.graph.node:
            for name in node.input:
                found[name].append(node)
        return found

    def is_output(self, name: str) -> bool:
        return any(output.name == name for output in self.graph.output)

    def array(self, name: str) -> NDArray[Any]:
        return np.array(self._numbers.to_array(next(each for each in self.graph.initializer if each.name == name)))

    def constants(self) -> set[str]:
        return {each.name for each in self.graph.initializer}

    def add(self, name: str, values: NDArray[Any]) -> str:
        self.graph.initializer.append(self._numbers.from_array(np.ascontiguousarray(values), name))
        return name

    def replace(self, old: Any, *new: Any) -> None:
        """Put nodes in the place of one."""
        place = next(i for i, node in enumerate(self.graph.node) if node is old or node == old)
        kept = [*self.graph.node[:place], *new, *self.graph.node[place + 1 :]]
        copies = [type(node).FromString(node.SerializeToString()) for node in kept]
        del self.graph.node[:]
        self.graph.node.extend(copies)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return self._helper.make_node(kind, inputs, [output], name=f"{kind}_{output}", **attributes)

    def drop_unused(self) -> None:
        used = {name for node in self.graph.node for name in node.input}
        kept = [each for each in self.graph.initializer if each.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        made = {name for node in self.graph.node for name in node.output}
        infos = [info for info in self.graph.value_info if info.name in made]
        del self.graph.value_info[:]
        self.graph.value_info.extend(infos)


def attribute(node: Any, name: str, default: Any) -> Any:
    found = next((each for each in node.attribute if each.name == name), None)
    if found is None:
        return default
    return list(found.ints) if found.ints else found.i


def _as_convolution(graph: OnnxGraph, node: Any) -> None:
    (stride, _), pads = attribute(node, "strides", [1, 1]), attribute(node, "pads", [0] * 4)
    kernel = attribute(node, "kernel_shape", [0, 0])
    groups = attribute(node, "group", 1)
    plain = len({*attribute(node, "dilations", [1, 1]), 1}) == 1 and not any(attribute(node, "output_padding", [0, 0]))
    if not (plain and kernel[0] == kernel[1] and len(set(pads)) == 1 and kernel[0] - 2 * pads[0] == stride):
        return  # its output is not `stride` times as large as its input: it stays in floating point
    weight, reach = convolution_weights(graph.array(node.input[1]), groups, stride, pads[0])
    out, inputs = node.output[0], [node.input[0], graph.add(node.input[1] + ALL, weight)]
    if len(node.input) > 2 and node.input[2]:
        inputs.append(graph.add(node.input[2] + ALL, np.repeat(graph.array(node.input[2]), stride**2)))
    conv = graph.node(
        "Conv", inputs, out + ALL, group=groups, kernel_shape=weight.shape[2:], pads=[reach] * 4, strides=[1, 1]
    )
    conv.name = node.name
    graph.replace(node, conv, graph.node("DepthToSpace", [conv.output[0]], out, blocksize=stride, mode="CRD"))


def _fold_norms(graph: OnnxGraph) -> None:
    """BatchNormalization behind a deconvolution, or behind the sum of some that nobody else takes."""
    for norm in [node for node in graph.nodes if node.op_type == "BatchNormalization"]:
        makers, takers = graph.makers(), graph.takers()

        def sources(name: str, makers: Any = makers, takers: Any = takers) -> list[Any]:
            maker = makers.get(name)
            if maker is None or len(takers[name]) != 1 or graph.is_output(name):
                return []
            if maker.op_type == "Add":
                parts = [sources(part) for part in maker.input]
                return [one for part in parts for one in part] if all(parts) else []
            return [maker] if maker.op_type == "ConvTranspose" else []

        found = sources(norm.input[0])
        weights = [node.input[1] for node in found]
        if not found or any(len(takers[weight]) != 1 for weight in weights):
            continue
        scale, shift, mean, variance = (graph.array(name) for name in norm.input[1:5])
        epsilon = next((each.f for each in norm.attribute if each.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        for place, node in enumerate(found):
            weight, groups = graph.array(node.input[1]), attribute(node, "group", 1)
            per_output = factor.reshape(groups, 1, -1, 1, 1)
            split = weight.reshape(groups, -1, *weight.shape[1:]) * per_output
            bias = graph.array(node.input[2]) if len(node.input) > 2 else np.zeros_like(factor)
            bias = bias * factor + (shift - mean * factor if place == 0 else 0)
            inputs = [node.input[0], graph.add(f"{node.input[1]}_folded", split.reshape(weight.shape))]
            inputs.append(graph.add(f"{node.input[1]}_bias", bias.astype(np.float32)))
            del node.input[:]
            node.input.extend(inputs)
        old, new = norm.output[0], norm.input[0]
        graph.replace(norm)
        for node in graph.graph.node:
            for place, name in enumerate(node.input):
                if name == old:
                    node.input[place] = new
        if graph.is_output(old):
            next(node for node in graph.graph.node if new in node.output).output[0] = old


def _sink(graph: OnnxGraph) -> None:
    """Let DepthToSpace stand behind what is computed value by value: sums of two of a kind, and activations."""
    while True:
        makers, takers = graph.makers(), graph.takers()
        for node in graph.nodes:
            mine = [makers.get(name) for name in (node.input if node.op_type == "Add" else node.input[:1])]
            movable = node.op_type in ("Add", *ELEMENTWISE) and all(
                one is not None
                and one.op_type == "DepthToSpace"
                and attribute(one, "blocksize", 0) == attribute(mine[0], "blocksize", 0)
                and len(takers[one.output[0]]) == 1
                and not graph.is_output(one.output[0])
                for one in mine
            )
            if movable:
                break
        else:
            return
        out = node.output[0]
        before = type(node).FromString(node.SerializeToString())
        before.output[0] = out + ALL
        spread = [one for one in mine if one is not None]
        for place, one in enumerate(spread):
            before.input[place] = one.input[0]
        size = attribute(spread[0], "blocksize", 0)
        graph.replace(node, before, graph.node("DepthToSpace", [before.output[0]], out, blocksize=size, mode="CRD"))
        for one in spread:
            graph.replace(one)
