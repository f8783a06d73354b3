"""The operations of a .tflite file in the order in which they run."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.optional import need

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
CODE_OF_INT8 = 9  # as the format numbers the types of tensors


class Operation(NamedTuple):
    kind: str
    inputs: tuple[int, ...]  # tensors that are computed
    outputs: tuple[int, ...]
    name: str  # by which the quantizer knows it
    integers: bool  # whether it reads them
    weights: str = ""  # the fingerprint of its own, if it has some
    layer: str = ""


def fingerprint(weights: NDArray[Any]) -> str:
    """The same however the weights lie."""
    return hashlib.sha256(np.sort(np.ascontiguousarray(weights, np.float32), None).tobytes()).hexdigest()


def operations(file: bytes) -> list[Operation]:
    tools = need("ai_edge_quantizer.utils.tfl_flatbuffer_utils", "litert")
    codes = need("ai_edge_quantizer.qtyping", "litert").BuiltinOperator
    kinds = {code: name for name, code in vars(codes).items() if isinstance(code, int)}
    model = tools.read_model(file)
    graph = model.subgraphs[0]
    found = []
    for one in graph.operators:
        kind = kinds[model.operatorCodes[one.opcodeIndex].builtinCode]
        read = [i for i in one.inputs if i >= 0]
        data = {i: tools.get_tensor_data(graph.tensors[i], model.buffers) for i in read}
        computed = tuple(i for i in read if data[i] is None)
        weights = next((data[i] for i in read if data[i] is not None and data[i].ndim > 1), None)
        print_ = fingerprint(weights) if kind in WEIGHTED and weights is not None else ""
        integers = bool(computed) and all(graph.tensors[i].type == CODE_OF_INT8 for i in computed)
        name = tools.get_op_scope(one, graph.tensors)
        found.append(Operation(kind, computed, tuple(one.outputs), name, integers, print_))
    return found
