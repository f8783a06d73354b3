"""Quantised files: static, with a scale for each channel of the weights, calibrated on images of the user's.

A quantiser calibrates once, and then writes as many files as are wanted, each with other layers kept in floating point.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.onnx import write_onnx_program
from litepose_nas.exporters.onnx_decoding import WEIGHT, decoding
from litepose_nas.exporters.onnx_rewrites import prepared
from litepose_nas.optional import need

Inputs = Sequence[NDArray[Any]]  # what a file is shown, each a batch of one
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class Layer(NamedTuple):
    """A layer with weights, which is either in int8 or in floating point."""

    name: str  # that of its weights
    node: str  # of the ONNX graph
    macs: int


class Quantiser(Protocol):
    @property
    def layers(self) -> Sequence[Layer]: ...

    def write(self, path: Path, kept: Collection[str]) -> None:
        """Write a file with all layers in int8 but those kept in floating point, by their names."""

    def in_int8(self, path: Path) -> set[str]:
        """The names of the layers that the runtime computes with integers, as it says itself."""


class Int8Base:
    """What is quantised, for all targets: an ONNX model in fp32, its layers, and the network itself."""

    def __init__(self, model: Any, inputs: Inputs, what: Exported | None = None):
        self._model, self.inputs, self.what = model, list(inputs), what
        self.decodes = what is not None and what.decodes
        self.layers = layers_of(model, self.inputs[0])

    def model(self, kept: Collection[str] = ()) -> Any:
        """The model made ready for integers in all layers but those kept in floating point."""
        return prepared(self._model, {layer.node for layer in self.layers if layer.name in kept})

    def never(self, model: Any) -> set[str]:
        """The nodes of such a model that stay in floating point whatever is kept."""
        return decoding(model) if self.decodes else set()


def base_of(what: Exported, inputs: Inputs) -> Int8Base:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "base.onnx"
        write_onnx_program(what, path, folded=True)
        return Int8Base(need("onnx", "export").load(str(path)), inputs, what)


def layers_of(model: Any, example: NDArray[Any]) -> list[Layer]:
    """The layers of an ONNX model, with their MACs for one input."""
    constants = {each.name: each.dims for each in model.graph.initializer}
    weighted = [node for node in model.graph.node if node.op_type in WEIGHTED and node.input[1] in constants]
    sizes = _sizes(model, [name for node in weighted for name in (node.input[0], node.output[0])], example)
    found = []
    for node in weighted:
        dims = list(constants[node.input[1]])
        if node.op_type in ("Conv", "ConvTranspose"):  # each of the weights is used at every place of the smaller map
            maps = sizes[node.output[0]] if node.op_type == "Conv" else sizes[node.input[0]]
            macs = int(np.prod(dims) * np.prod(maps[2:]))
        else:
            transposed = any(each.name == "transB" and each.i for each in node.attribute)
            macs = int(np.prod(sizes[node.input[0]]) * dims[0 if transposed else 1])
        found.append(Layer(node.input[1].removesuffix(WEIGHT), node.name, macs))
    return found


def _sizes(model: Any, names: Sequence[str], example: NDArray[Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors for one input, by running it."""
    onnx, ort = need("onnx", "export"), need("onnxruntime", "export")
    told = onnx.ModelProto.FromString(model.SerializeToString())
    known = {output.name for output in told.graph.output} | {each.name for each in told.graph.input}
    told.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names) if name not in known)
    session = ort.InferenceSession(told.SerializeToString(), providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0].name
    outputs = [output.name for output in session.get_outputs()]
    values = session.run(outputs, {image: example})
    return {image: example.shape, **{name: value.shape for name, value in zip(outputs, values, strict=True)}}
