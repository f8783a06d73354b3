"""A network as ONNX: for ONNX Runtime, and for OpenVINO, which reads it too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas import files
from litepose_nas.blocks.graph import GATE, GELU, HSWISH, RELU, RELU6, SIGMOID, SILU, Graph, Node
from litepose_nas.optional import need
from litepose_nas.plan_files.numbers import EPSILON, NodeNumbers, State, behind, numbers_of, shares
from litepose_nas.plan_files.onnx_ops import OnnxOps
from litepose_nas.plan_files.onnx_tokens import TOKEN_OPS, attend

OPSET, IR = 18, 10  # read by runtimes of the last two years
ALONE = {RELU: "Relu", HSWISH: "HardSwish", SIGMOID: "Sigmoid"}


def write_onnx(
    graph: Graph, path: str | Path, outputs: Sequence[str], state: State | None = None, seed: int = 0
) -> None:
    """Write a batch of one picture, or of one clip; `outputs` are names for the graph's outputs, in order."""
    need("onnx", "export")
    files.write(path, _OnnxWriter(graph, numbers_of(graph, state, seed)).model(outputs).SerializeToString())


class _OnnxWriter:
    def __init__(self, graph: Graph, numbers: dict[int, NodeNumbers]):
        self.graph, self.numbers, self.ops = graph, numbers, OnnxOps()
        self.names = {-1: "image"}

    def model(self, outputs: Sequence[str]) -> Any:
        from onnx import TensorProto, helper

        ops = self.ops
        wanted = {feature.number: name for feature, name in zip(self.graph.outputs, outputs, strict=False)}
        for i, node in enumerate(self.graph.nodes):
            self.names[i] = self._act(node.act, self._node(i, node, [self.names[each.number] for each in node.inputs]))
            if i in wanted:
                ops.nodes[-1].output[0] = self.names[i] = wanted[i]
        infos = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [*([] if feature.tokens else [1]), *feature.shape])
            for name, feature in zip(
                ["image", *wanted.values()], [self.graph.picture, *self.graph.outputs], strict=True
            )
        ]
        body = helper.make_graph(ops.nodes, "network", infos[:1], infos[1:], list(ops.constants.values()))
        return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)

    def _node(self, i: int, node: Node, x: list[str]) -> str:
        ops = self.ops
        if node.kind in ("conv", "deconv", "linear", "batch_norm", "layer_norm"):
            return self._weighted(i, node, x[0])
        if node.kind == "attend":
            return attend(ops, node, x, self._weights(i) if node.path else [])
        if node.kind in TOKEN_OPS:
            return TOKEN_OPS[node.kind](ops, node, x[0])
        if node.kind in ("add", "mul"):
            if len(node.inputs[1].shape) == 1:
                x[1] = ops.shaped(x[1], 1, node.inputs[1].shape[0], 1, 1)
            return ops.op(node.kind.capitalize(), x)
        if node.kind in ("mean", "sum"):
            return ops.op(f"Reduce{node.kind.capitalize()}", [*x, ops.whole(2, 3)], keepdims=int(len(node.shape) == 3))
        if node.kind == "softmax":
            flat = ops.shaped(x[0], 1, 1, node.shape[1] * node.shape[2])
            return ops.shaped(ops.op("Softmax", [flat], axis=2), 1, *node.shape)
        if node.kind == "concat":
            return ops.op("Concat", x, axis=1)
        if node.kind == "stack":
            return ops.op("Concat", [ops.op("Unsqueeze", [each, ops.whole(1)]) for each in x], axis=1)
        if node.kind == "frame":
            return ops.op("Gather", [*x, ops.constant(f"place{node.first}", np.int64(node.first))], axis=1)
        return self._moved(node, x[0])

    def _weighted(self, i: int, node: Node, x: str) -> str:
        ops, (weight, bias) = self.ops, self.numbers[i]
        if node.kind == "linear" and node.inputs[0].tokens:
            y = ops.op("MatMul", [x, ops.constant(f"weight{i}", np.ascontiguousarray(weight.T))])
            return y if bias is None else ops.op("Add", [y, ops.constant(f"bias{i}", bias)])
        if node.kind == "linear":
            return ops.op("Gemm", [x, *self._weights(i)], transB=1)
        if node.kind == "batch_norm":
            zero, one = np.zeros(node.shape[0], np.float32), np.ones(node.shape[0], np.float32)
            at_rest = [ops.constant("zeros" + str(len(zero)), zero), ops.constant("ones" + str(len(one)), one)]
            return ops.op("BatchNormalization", [x, *self._weights(i), *at_rest], epsilon=0.0)
        if node.kind == "layer_norm":
            last = node.inputs[0].tokens or len(node.shape) == 1  # channels are
            x = x if last else ops.turned(x, 0, 2, 3, 1)
            x = ops.op("LayerNormalization", [x, *self._weights(i)], axis=-1, epsilon=EPSILON)
            return x if last else ops.turned(x, 0, 3, 1, 2)
        pad = (node.kernel - 1) // 2
        return ops.op(
            "Conv" if node.kind == "conv" else "ConvTranspose",
            [x, *self._weights(i)],
            kernel_shape=[node.kernel] * 2,
            strides=[node.stride] * 2,
            pads=[pad, pad, *behind(node)] if node.kind == "conv" else [pad] * 4,
            group=node.groups,
        )

    def _moved(self, node: Node, x: str) -> str:
        """What has no weights and one input."""
        ops, (c, h, w), (_, height, width), k = self.ops, node.shape, node.inputs[0].shape, node.kernel
        if node.kind == "max_pool":
            return ops.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        if node.kind == "deal":
            windows = node.inputs[0].windows
            apart = ops.shaped(x, windows, c // node.groups, node.groups, h, w)
            return ops.shaped(ops.turned(apart, 0, 2, 1, 3, 4), windows, c, h, w)
        if node.kind == "band":
            return ops.part(x, (node.first,), (node.first + c,), (1,))
        if node.kind == "resize":
            return ops.op("Resize", [x, "", "", ops.whole(1, c, h, w)], mode="linear")
        if node.kind == "repeat":
            place = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            times = ops.constant(f"times{k}", np.array([1, 1, k, k], np.float32))
            return ops.op("Resize", [x, "", times], mode="nearest", **place)
        if node.kind == "averages" and height % h == width % w == 0:
            areas = [height // h, width // w]
            return ops.op("AveragePool", [x], kernel_shape=areas, strides=areas)
        if node.kind == "averages":  # products with constants: areas that overlap are no pooling
            columns = ops.constant(f"columns{width}_{w}", shares(width, w))
            rows = ops.constant(f"rows{height}_{h}", np.ascontiguousarray(shares(height, h).T))
            return ops.op("MatMul", [rows, ops.op("MatMul", [x, columns])])
        assert node.kind == "crop", node.kind
        return ops.part(x, (0, 0), (h, w), (2, 3))

    def _act(self, act: str, x: str) -> str:
        ops = self.ops
        if act in ALONE:
            return ops.op(ALONE[act], [x])
        if act == RELU6:
            return ops.op("Clip", [x, ops.scalar(0), ops.scalar(6)])
        if act == SILU:
            return ops.op("Mul", [x, ops.op("Sigmoid", [x])])
        if act == GELU:
            error = ops.op("Erf", [ops.op("Div", [x, ops.scalar(2**0.5)])])
            return ops.op("Mul", [ops.op("Mul", [x, ops.op("Add", [error, ops.scalar(1)])]), ops.scalar(0.5)])
        if act == GATE:
            x = ops.op("Add", [ops.op("Mul", [x, ops.scalar(0.5)]), ops.scalar(0.5)])
            return ops.op("Clip", [x, ops.scalar(0), ops.scalar(1)])
        return x

    def _weights(self, i: int) -> list[str]:
        weight, bias = self.numbers[i]
        constant = self.ops.constant
        return [constant(f"weight{i}", weight), *([] if bias is None else [constant(f"bias{i}", bias)])]
