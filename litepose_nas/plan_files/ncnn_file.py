"""A network as ncnn's .param and .bin, with the layers that ncnn's own converter, pnnx, gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from litepose_nas import files
from litepose_nas.blocks.graph import GATE, GELU, HSWISH, RELU, RELU6, SIGMOID, SILU, Feature, Graph, Node
from litepose_nas.plan_files.ncnn_layers import NcnnLayers
from litepose_nas.plan_files.ncnn_tokens import TOKEN_LAYERS, attend
from litepose_nas.plan_files.numbers import EPSILON, NodeNumbers, State, behind, numbers_of

MAGIC = 7767517
FUSED = {RELU: " 9=1", RELU6: " 9=3 -23310=2,0.0,6.0", SIGMOID: " 9=4", HSWISH: f" 9=6 -23310=2,{1 / 6:.8f},0.5"}
ALONE = {RELU: "ReLU", RELU6: "Clip 0=0.0 1=6.0", HSWISH: f"HardSwish 0={1 / 6:.8f} 1=0.5", SILU: "Swish"}
ALONE |= {GATE: "HardSigmoid 0=0.5 1=0.5", GELU: "GELU 0=0", SIGMOID: "Sigmoid"}


def write_ncnn(graph: Graph, path: str | Path, state: State | None = None, seed: int = 0, half: bool = False) -> None:
    """Write PATH, which ends in .param, and the .bin beside it; the picture is in0, outputs are out0, out1 ..."""
    layers = NcnnLayers(half)
    _NcnnWriter(layers, numbers_of(graph, state, seed)).write(graph)
    files.write(Path(path).with_suffix(".bin"), b"".join(layers.data))
    files.write(path, "\n".join([str(MAGIC), f"{len(layers.lines)} {layers.blobs}", *layers.lines, ""]))


class _NcnnWriter:
    def __init__(self, layers: NcnnLayers, numbers: dict[int, NodeNumbers]):
        self.layers, self.numbers = layers, numbers

    def write(self, graph: Graph) -> None:
        uses = Counter(feature.number for node in graph.nodes for feature in node.inputs)
        outputs = {feature.number: f"out{i}" for i, feature in enumerate(graph.outputs)}
        copies: dict[int, Iterator[str]] = {-1: iter(self.layers.copies("in0", uses[-1]))}
        for i, node in enumerate(graph.nodes):
            blob = self._node(i, node, [next(copies[feature.number]) for feature in node.inputs])
            names = self.layers.copies(blob, uses[i] + (i in outputs))
            if i in outputs:
                self.layers.add("Noop", [names.pop()], outputs[i])
            copies[i] = iter(names)

    def _node(self, i: int, node: Node, x: list[str]) -> str:
        layers = self.layers
        if node.kind in ("conv", "deconv", "linear"):
            return self._weighted(node, x, self.numbers[i])
        if node.kind in ("batch_norm", "layer_norm"):
            return self._act(node.act, self._normed(node, x, self.numbers[i]))
        if node.kind == "attend":
            return attend(layers, node, x, self.numbers[i].weight if node.path else None)
        if node.kind in TOKEN_LAYERS:
            return TOKEN_LAYERS[node.kind](layers, node, x[0])
        if node.kind in ("add", "mul"):
            x[1] = self._as_map(x[1], node.inputs[1])
            return self._act(node.act, layers.add(f"BinaryOp 0={0 if node.kind == 'add' else 2}", x))
        if node.kind == "concat":
            return self._act(node.act, layers.add("Concat 0=0", x))
        if node.kind == "stack":
            return layers.shaped(layers.add("Concat 0=0", x), *node.shape)
        if node.kind in ("mean", "sum"):
            keeps = int(len(node.shape) == 3)
            return layers.add(f"Reduction 0={3 if node.kind == 'mean' else 0} 1=0 -23303=2,1,2 4={keeps} 5=1", x)
        if node.kind == "frame":
            c, h, w = node.shape
            x = [layers.add(f"Crop 0=0 1=0 13=0 2={node.first} 3={w} 4={h} 14={c} 5=1", x)]
            return layers.shaped(x[0], c, h, w)
        return self._moved(node, x)

    def _moved(self, node: Node, x: list[str]) -> str:
        """What has no weights and one input."""
        layers, (c, h, w) = self.layers, node.shape
        if node.kind == "softmax":
            return layers.shaped(layers.add("Softmax 0=0 1=1", [layers.shaped(x[0], h * w)]), 1, h, w)
        if node.kind == "max_pool":
            return layers.add("Pooling 0=0 1=3 11=3 12=2 13=1 2=2 3=1 5=1", x)
        if node.kind == "averages":
            return layers.add(f"Pooling 0=1 7=1 8={w} 18={h}", x)
        if node.kind in ("resize", "repeat"):
            return layers.add(f"Interp 0={2 if node.kind == 'resize' else 1} 3={h} 4={w}", x)
        if node.kind == "deal":
            return layers.add(f"ShuffleChannel 0={c // node.groups} 1=0", x)
        assert node.kind in ("crop", "band"), node.kind
        return layers.add(f"Crop 0=0 1=0 2={node.first} 3={w} 4={node.inputs[0].windows * h} 5={c}", x)

    def _weighted(self, node: Node, x: list[str], numbers: NodeNumbers) -> str:
        (weight, bias), cout, groups = numbers, node.shape[0], node.groups
        windows = node.inputs[0].windows if node.kernel > 1 else 1
        if windows > 1:  # each channel of each window becomes a channel
            assert groups == cout == node.inputs[0].channels
            x = [self.layers.shaped(x[0], windows * cout, *node.inputs[0].shape[1:])]
            weight, bias = weight.repeat(windows, 0), None if bias is None else bias.repeat(windows)
            cout, groups = windows * cout, windows * groups
        if node.kind == "linear":
            line = f"InnerProduct 0={node.shape[-1]} 1={int(bias is not None)} 2={weight.size}"
        else:
            pad, k, stride = (node.kernel - 1) // 2, node.kernel, node.stride
            ends = ""
            if node.kind == "deconv":  # ncnn has what comes out first, group by group
                weight = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
                ends = " 18=0 19=0"
            elif (after := behind(node)) != (pad, pad):
                ends = f" 15={after[1]} 16={after[0]}"
            kind = ("Deconvolution" if node.kind == "deconv" else "Convolution") + ("DepthWise" if groups > 1 else "")
            line = f"{kind} 0={cout} 1={k} 11={k} 12=1 13={stride} 14={pad}{ends} 2=1 3={stride} 4={pad}"
            line += f" 5={int(bias is not None)} 6={weight.size}{f' 7={groups}' if groups > 1 else ''}"
        self.layers.weights(weight, bias)
        made = self.layers.add(line + FUSED.get(node.act, ""), x)
        made = made if node.act in FUSED else self._act(node.act, made)
        return made if windows == 1 else self.layers.shaped(made, node.shape[0], windows * node.shape[1], node.shape[2])

    def _normed(self, node: Node, x: list[str], numbers: NodeNumbers) -> str:
        layers, (weight, bias) = self.layers, numbers
        assert bias is not None
        if node.kind == "batch_norm":
            layers.write(weight, np.zeros_like(weight), np.ones_like(weight), bias)  # scale, mean, variance, shift
            return layers.add(f"BatchNorm 0={len(weight)} 1=0.0", x)
        layers.write(weight, bias)
        line = f"LayerNorm 0={len(weight)} 1={EPSILON} 2=1"
        if node.inputs[0].tokens or len(node.shape) == 1:
            return layers.add(line, x)
        c, h, w = node.shape
        flat = layers.shaped(x[0], c, node.inputs[0].windows * h * w)
        normed = layers.turned(layers.add(line, [layers.turned(flat, 1)]), 1)
        return layers.shaped(normed, c, node.inputs[0].windows * h, w)

    def _as_map(self, blob: str, feature: Feature) -> str:
        """A vector as a map of one position, which ncnn spreads over all."""
        return self.layers.shaped(blob, feature.shape[0], 1, 1) if len(feature.shape) == 1 else blob

    def _act(self, act: str, blob: str) -> str:
        return self.layers.add(ALONE[act], [blob]) if act else blob
