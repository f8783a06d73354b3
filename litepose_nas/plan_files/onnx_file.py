"""A network as ONNX: for ONNX Runtime, and for OpenVINO, which reads it too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas import files
from litepose_nas.blocks.graph import GATE, HSWISH, RELU, RELU6, SILU, Graph, Node
from litepose_nas.optional import need
from litepose_nas.plan_files.numbers import EPSILON, NodeNumbers, State, numbers_of

TOKENS = ("resize", "unfold", "fold", "attention")
OPSET, IR = 18, 10  # read by runtimes of the last two years


def write_onnx(
    graph: Graph, path: str | Path, outputs: Sequence[str], state: State | None = None, seed: int = 0
) -> None:
    """Write a batch of one picture; `outputs` are names for the graph's outputs, in order."""
    need("onnx", "export")
    files.write(path, _Writer(graph, numbers_of(graph, state, seed)).model(outputs).SerializeToString())


class _Writer:
    def __init__(self, graph: Graph, numbers: dict[int, NodeNumbers]):
        self.graph, self.numbers = graph, numbers
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.names = {-1: "image"}

    def model(self, outputs: Sequence[str]) -> Any:
        from onnx import TensorProto, helper

        wanted = {feature.number: name for feature, name in zip(self.graph.outputs, outputs, strict=False)}
        for i, node in enumerate(self.graph.nodes):
            self.names[i] = self._act(node.act, self._node(i, node))
            if i in wanted:
                self.nodes[-1].output[0] = self.names[i] = wanted[i]
        infos = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *feature.shape])
            for name, feature in zip(
                ["image", *wanted.values()], [self.graph.picture, *self.graph.outputs], strict=True
            )
        ]
        body = helper.make_graph(self.nodes, "network", infos[:1], infos[1:], list(self.constants.values()))
        return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)

    def _node(self, i: int, node: Node) -> str:
        x = [self.names[feature.number] for feature in node.inputs]
        sizes = [feature.shape for feature in node.inputs]
        if node.kind in ("conv", "deconv"):
            pad = (node.kernel - 1) // 2
            return self._op(
                "Conv" if node.kind == "conv" else "ConvTranspose",
                [*x, *self._weights(i)],
                kernel_shape=[node.kernel] * 2, strides=[node.stride] * 2, pads=[pad] * 4, group=node.groups,
            )  # fmt: skip
        if node.kind == "max_pool":
            return self._op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        if node.kind == "batch_norm":
            zero, one = np.zeros(node.shape[0], np.float32), np.ones(node.shape[0], np.float32)
            at_rest = [self._constant("zeros" + str(len(zero)), zero), self._constant("ones" + str(len(one)), one)]
            return self._op("BatchNormalization", [*x, *self._weights(i), *at_rest], epsilon=0.0)
        if node.kind in ("add", "mul"):
            if len(sizes[1]) == 1:
                x[1] = self._reshape(x[1], (sizes[1][0], 1, 1))
            return self._op(node.kind.capitalize(), x)
        if node.kind in ("mean", "sum"):
            return self._op(f"Reduce{node.kind.capitalize()}", [*x, self._whole(2, 3)], keepdims=0)
        if node.kind == "softmax":
            flat = self._reshape(x[0], (1, sizes[0][1] * sizes[0][2]))
            return self._reshape(self._op("Softmax", [flat], axis=2), sizes[0])
        if node.kind == "linear":
            return self._tokens_linear(x[0], i) if node.inputs[0].tokens else self._gemm(x[0], i)
        if node.kind == "layer_norm":
            return self._op("LayerNormalization", [*x, *self._weights(i)], axis=-1, epsilon=EPSILON)
        if node.kind == "deal":
            c, h, w = node.shape
            apart = self._reshape(x[0], (c // node.groups, node.groups, h, w))
            return self._reshape(self._op("Transpose", [apart], perm=[0, 2, 1, 3, 4]), node.shape)
        if node.kind in TOKENS:
            return getattr(self, f"_{node.kind}")(x[0], node)
        assert node.kind == "crop", node.kind
        return self._op("Slice", [*x, self._whole(0, 0), self._whole(*node.shape[1:]), self._whole(2, 3)])

    def _gemm(self, x: str, i: int) -> str:
        return self._op("Gemm", [x, *self._weights(i)], transB=1)

    def _tokens_linear(self, x: str, i: int) -> str:
        weight, bias = self.numbers[i]
        y = self._op("MatMul", [x, self._constant(f"weight{i}", np.ascontiguousarray(weight.T))])
        return y if bias is None else self._op("Add", [y, self._constant(f"bias{i}", bias)])

    def _resize(self, x: str, node: Node) -> str:
        return self._op("Resize", [x, "", "", self._whole(1, *node.shape)], mode="linear")

    def _unfold(self, x: str, node: Node) -> str:
        c, h, w = node.inputs[0].shape
        patch = node.kernel
        apart = self._reshape(x, (c, h // patch, patch, w // patch, patch))
        return self._op("Reshape", [self._op("Transpose", [apart], perm=[0, 3, 5, 2, 4, 1]), self._whole(*node.shape)])

    def _fold(self, x: str, node: Node) -> str:
        c, h, w = node.shape
        patch = node.kernel
        apart = self._reshape(x, (patch, patch, h // patch, w // patch, c))
        picture = self._reshape(self._op("Transpose", [apart], perm=[0, 3, 1, 4, 2, 5]), (h, w, c))
        return self._op("Transpose", [picture], perm=[0, 3, 1, 2])

    def _attention(self, x: str, node: Node) -> str:
        sequences, length, inner = node.shape
        each = inner // node.groups
        apart = self._op("Reshape", [x, self._whole(sequences, length, 3, node.groups, each)])
        packed = self._op("Transpose", [apart], perm=[2, 0, 3, 1, 4])
        queries, keys, values = (
            self._op("Squeeze", [self._op("Slice", [packed, self._whole(k), self._whole(k + 1), zero]), zero])
            for k, zero in ((k, self._whole(0)) for k in range(3))
        )
        root = self._scalar(node.scale**0.5)  # as torch does, on both sides
        turned = self._op("Mul", [self._op("Transpose", [keys], perm=[0, 1, 3, 2]), root])
        scores = self._op("MatMul", [self._op("Mul", [queries, root]), turned])
        found = self._op("MatMul", [self._op("Softmax", [scores], axis=-1), values])
        return self._op("Reshape", [self._op("Transpose", [found], perm=[0, 2, 1, 3]), self._whole(*node.shape)])

    def _act(self, act: str, x: str) -> str:
        if act == RELU:
            return self._op("Relu", [x])
        if act == RELU6:
            return self._op("Clip", [x, self._scalar(0), self._scalar(6)])
        if act == HSWISH:
            return self._op("HardSwish", [x])
        if act == SILU:
            return self._op("Mul", [x, self._op("Sigmoid", [x])])
        if act == GATE:
            half = self._scalar(0.5)
            x = self._op("Add", [self._op("Mul", [x, half]), half])
            return self._op("Clip", [x, self._scalar(0), self._scalar(1)])
        return x

    def _op(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        from onnx import helper

        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _weights(self, i: int) -> list[str]:
        weight, bias = self.numbers[i]
        return [self._constant(f"weight{i}", weight), *([] if bias is None else [self._constant(f"bias{i}", bias)])]

    def _reshape(self, x: str, shape: Sequence[int]) -> str:
        return self._op("Reshape", [x, self._whole(1, *shape)])

    def _scalar(self, value: float) -> str:
        return self._constant(f"number{value}", np.float32(value))

    def _whole(self, *values: int) -> str:
        return self._constant("whole" + "_".join(map(str, values)), np.array(values, np.int64))

    def _constant(self, name: str, values: np.ndarray | np.float32) -> str:
        from onnx import numpy_helper

        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(values), name)
        return name
