"""A network as ncnn's .param and .bin, with the layers that ncnn's own converter, pnnx, gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from litepose_nas import files
from litepose_nas.blocks.graph import GATE, HSWISH, RELU, RELU6, SILU, Feature, Graph, Node
from litepose_nas.plan_files.numbers import EPSILON, NodeNumbers, State, numbers_of

MAGIC = 7767517
FUSED = {RELU: " 9=1", RELU6: " 9=3 -23310=2,0.0,6.0", HSWISH: f" 9=6 -23310=2,{1 / 6:.8f},0.5"}
ALONE = {RELU: "ReLU", RELU6: "Clip 0=0.0 1=6.0", HSWISH: f"HardSwish 0={1 / 6:.8f} 1=0.5"}
ALONE[SILU] = "Swish"
ALONE[GATE] = "HardSigmoid 0=0.5 1=0.5"
LACKS = ("resize", "unfold", "fold", "attention")  # tensors of five axes are unknown to it


def lacking(graph: Graph) -> list[str]:
    """The operations of a network that ncnn has none for."""
    return [kind for kind in LACKS if any(node.kind == kind for node in graph.nodes)]


def write_ncnn(graph: Graph, path: str | Path, state: State | None = None, seed: int = 0) -> None:
    """Write PATH, which ends in .param, and the .bin beside it; the picture is in0, outputs are out0, out1 ..."""
    writer = _Layers(graph, numbers_of(graph, state, seed))
    files.write(Path(path).with_suffix(".bin"), b"".join(writer.data))
    files.write(path, "\n".join([str(MAGIC), f"{len(writer.lines)} {writer.blobs}", *writer.lines, ""]))


class _Layers:
    """A layer's line: its kind, its name, how many tensors go in and come out, their names, its numbers."""

    def __init__(self, graph: Graph, numbers: dict[int, NodeNumbers]):
        self.lines = ["Input in0 0 1 in0"]
        self.blobs = 1
        self.data: list[bytes] = []
        uses = Counter(feature.number for node in graph.nodes for feature in node.inputs)
        outputs = {feature.number: f"out{i}" for i, feature in enumerate(graph.outputs)}
        self.copies: dict[int, Iterator[str]] = {-1: iter(self._split("in0", uses[-1]))}
        for i, node in enumerate(graph.nodes):
            blob = self._node(i, node, numbers.get(i))
            if i in outputs:
                blob = self._add("Noop", [blob], outputs[i])
            self.copies[i] = iter(self._split(blob, uses[i]))

    def _split(self, blob: str, uses: int) -> list[str]:
        """A tensor has one reader in ncnn; more of them read copies, which cost nothing."""
        if uses < 2:
            return [blob]
        names = [f"{blob}_{i}" for i in range(uses)]
        self._line("Split", [blob], names, "")
        return names

    def _node(self, i: int, node: Node, numbers: NodeNumbers | None) -> str:
        x = [next(self.copies[feature.number]) for feature in node.inputs]
        if node.kind in ("conv", "deconv", "linear"):
            assert numbers is not None
            return self._weighted(node, x, numbers)
        if node.kind == "batch_norm":
            assert numbers is not None
            assert numbers.bias is not None
            zero, one = np.zeros_like(numbers.weight), np.ones_like(numbers.weight)
            self._write(numbers.weight, zero, one, numbers.bias)  # scale, mean, variance, shift
            return self._act(node.act, self._add(f"BatchNorm 0={node.shape[0]} 1=0.0", x))
        if node.kind == "layer_norm":
            assert numbers is not None
            assert numbers.bias is not None
            self._write(numbers.weight, numbers.bias)
            return self._act(node.act, self._add(f"LayerNorm 0={node.shape[0]} 1={EPSILON} 2=1", x))
        if node.kind in ("add", "mul"):
            x[1] = self._as_map(x[1], node.inputs[1])
            return self._act(node.act, self._add(f"BinaryOp 0={0 if node.kind == 'add' else 2}", x))
        if node.kind in ("mean", "sum"):
            return self._add(f"Reduction 0={3 if node.kind == 'mean' else 0} 1=0 -23303=2,1,2 4=0 5=1", x)
        if node.kind == "softmax":
            _, h, w = node.shape
            flat = self._add("Softmax 0=0 1=1", [self._add(f"Reshape 0={h * w}", x)])
            return self._add(f"Reshape 0={w} 1={h} 2=1", [flat])
        if node.kind == "max_pool":
            return self._add("Pooling 0=0 1=3 11=3 12=2 13=1 2=2 3=1 5=1", x)
        if node.kind == "deal":
            return self._add(f"ShuffleChannel 0={node.shape[0] // node.groups} 1=0", x)
        assert node.kind == "crop", node.kind
        c, h, w = node.shape
        return self._add(f"Crop 0=0 1=0 2=0 3={w} 4={h} 5={c}", x)

    def _weighted(self, node: Node, x: list[str], numbers: NodeNumbers) -> str:
        weight, bias = numbers
        if node.kind == "linear":
            line = f"InnerProduct 0={node.shape[0]} 1={int(bias is not None)} 2={weight.size}"
        else:
            pad, k, stride = (node.kernel - 1) // 2, node.kernel, node.stride
            up = node.kind == "deconv"
            if up:  # ncnn has what comes out first, group by group
                weight = weight.reshape(node.groups, -1, *weight.shape[1:]).swapaxes(1, 2)
            kind = ("Deconvolution" if up else "Convolution") + ("DepthWise" if node.groups > 1 else "")
            ends = " 18=0 19=0" if up else ""
            line = f"{kind} 0={node.shape[0]} 1={k} 11={k} 12=1 13={stride} 14={pad}{ends} 2=1 3={stride} 4={pad}"
            line += f" 5={int(bias is not None)} 6={weight.size}{f' 7={node.groups}' if node.groups > 1 else ''}"
        self.data.append(bytes(4))  # what follows is plain fp32
        self._write(weight, *([] if bias is None else [bias]))
        if node.act in FUSED:
            return self._add(line + FUSED[node.act], x)
        return self._act(node.act, self._add(line, x))

    def _as_map(self, blob: str, feature: Feature) -> str:
        """A vector as a map of one position, which ncnn spreads over all."""
        return self._add(f"Reshape 0=1 1=1 2={feature.shape[0]}", [blob]) if len(feature.shape) == 1 else blob

    def _act(self, act: str, blob: str) -> str:
        return self._add(ALONE[act], [blob]) if act else blob

    def _add(self, line: str, inputs: list[str], name: str = "") -> str:
        kind, _, numbers = line.partition(" ")
        name = name or f"b{len(self.lines)}"
        self._line(kind, inputs, [name], numbers)
        return name

    def _line(self, kind: str, inputs: list[str], outputs: list[str], numbers: str) -> None:
        words = [kind, f"l{len(self.lines)}", str(len(inputs)), str(len(outputs)), *inputs, *outputs, numbers]
        self.lines.append(" ".join(filter(None, words)))
        self.blobs += len(outputs)

    def _write(self, *arrays: np.ndarray) -> None:
        self.data += [np.ascontiguousarray(array, np.float32).tobytes() for array in arrays]
