"""A network's graph as a module of torch, for converters that go through torch: LiteRT's and ExecuTorch's.

It computes what the network does in operations that XNNPACK has: weights are constants, normalisations are folded,
sizes are fixed, no tensor has five axes where four do, and nothing is unbound or averaged over areas that overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.block import ceil_div
from litepose_nas.blocks.graph import GATE, GELU, HSWISH, RELU, RELU6, SIGMOID, SILU, Graph, Node
from litepose_nas.plan_files.numbers import EPSILON, NodeNumbers, State, behind, numbers_of, shares
from litepose_nas.plan_files.simplified import SAME, simplified
from litepose_nas.rewrites.cut_kernels import with_cut_kernels


def for_xnnpack(graph: Graph, state: State | None = None) -> nn.Module:
    """A module that computes the graph in what XNNPACK is fast at."""
    return with_cut_kernels(GraphModule(graph, state)).eval()


class GraphModule(nn.Module):
    """Takes one picture (1, 3, height, width), or one clip (1, frames, 3, height, width)."""

    def __init__(self, graph: Graph, state: State | None = None):
        super().__init__()
        self.nodes, numbers = simplified(graph, numbers_of(graph, state))
        self.outputs = [feature.number for feature in graph.outputs]
        self.convs = nn.ModuleDict(
            {str(i): _conv(node, numbers[i]) for i, node in enumerate(self.nodes) if node.kind == "conv"}
        )
        for i, node in enumerate(self.nodes):
            for name, values in _constants(node, numbers.get(i)).items():
                self.register_buffer(f"{name}{i}", torch.from_numpy(np.ascontiguousarray(values, np.float32)))

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        made = {-1: picture}
        for i, node in enumerate(self.nodes):
            made[i] = self.computed(i, [made[each.number] for each in node.inputs])
        return tuple(made[number] for number in self.outputs)

    def computed(self, i: int, inputs: Sequence[Tensor]) -> Tensor:
        """What one node makes of its inputs."""
        return _act(self.nodes[i].act, self._node(i, self.nodes[i], inputs))

    def _of(self, name: str, i: int) -> Any:
        return self._buffers.get(f"{name}{i}")

    def _node(self, i: int, node: Node, x: Sequence[Tensor]) -> Tensor:
        weight, bias = self._of("weight", i), self._of("bias", i)
        if node.kind == "conv":
            pad, (rows, columns) = (node.kernel - 1) // 2, behind(node)
            padded = x[0] if (rows, columns) == (pad, pad) else F.pad(x[0], (0, columns - pad, 0, rows - pad))
            return self.convs[str(i)](padded)
        if node.kind == "deconv":
            return F.conv_transpose2d(x[0], weight, bias, 2, (node.kernel - 2) // 2, 0, node.groups)
        if node.kind == "linear":
            return F.linear(x[0], weight, bias)
        if node.kind == "batch_norm":
            return x[0] * weight + bias
        if node.kind == "layer_norm":
            return self._layer_norm(i, node, x[0])
        if node.kind in ("add", "mul"):
            one, other = x[0], x[1]
            if len(node.inputs[1].shape) == 1:
                other = other.reshape(1, -1, 1, 1)
            return one + other if node.kind == "add" else one * other
        if node.kind in ("mean", "sum"):
            mean = x[0].mean((2, 3), keepdim=True)
            mean = mean if node.kind == "mean" else mean * self._of("weight", i)
            return mean if len(node.shape) == 3 else mean.reshape(1, -1)
        if node.kind in ("attention", "channel_attention", "attend"):
            return self._attention(i, node, x)
        if node.kind == "averages":
            return self._averages(i, node, x[0])
        return _moved(node, x)

    def _layer_norm(self, i: int, node: Node, x: Tensor) -> Tensor:
        """In linear maps: XNNPACK has those and no normalisation."""
        last = node.inputs[0].tokens or len(node.shape) == 1
        x = x if last else x.permute(0, 2, 3, 1)
        mean = self._of("mean", i)
        x = x - F.linear(x, mean)
        x = x * torch.rsqrt(F.linear(x * x, mean, self._of("epsilon", i)))
        x = x * self._of("weight", i) + self._of("bias", i)
        return x if last else x.permute(0, 3, 1, 2)

    def _averages(self, i: int, node: Node, x: Tensor) -> Tensor:
        (_, height, width), (_, h, w) = node.inputs[0].shape, node.shape
        if height % h == width % w == 0:
            return F.avg_pool2d(x, (height // h, width // w))
        x = F.linear(x, self._of("columns", i)).transpose(2, 3)
        return F.linear(x, self._of("rows", i)).transpose(2, 3)

    def _attention(self, i: int, node: Node, x: Sequence[Tensor]) -> Tensor:
        (sequences, length, inner), heads = node.shape, node.groups
        if node.kind == "attend":
            q, k, v = x
            return self._found(i, q, k.transpose(1, 2), v)
        q, k, v = (x[0][:, :, part * inner : (part + 1) * inner] for part in range(3))
        apart = sequences, length, heads, inner // heads
        whole, turned = (sequences * heads, length, -1), (sequences * heads, -1, length)
        if node.kind == "channel_attention":
            q, k, v = (each.reshape(apart).permute(0, 2, 3, 1).reshape(turned) for each in (q, k, v))
            found = self._found(i, q, k.transpose(1, 2), v).reshape(sequences, heads, -1, length)
            return found.permute(0, 3, 1, 2).reshape(node.shape)
        q, v = (each.reshape(apart).permute(0, 2, 1, 3).reshape(whole) for each in (q, v))
        found = self._found(i, q, k.reshape(apart).permute(0, 2, 3, 1).reshape(turned), v)
        return found.reshape(sequences, heads, length, -1).permute(0, 2, 1, 3).reshape(node.shape)

    def _found(self, i: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries (sequences, tokens, channels), keys (sequences, channels, tokens) and values."""
        scores = torch.bmm(q * self._of("scale", i), k)
        bias = self._of("weight", i)
        return torch.bmm(F.softmax(scores if bias is None else scores + bias, -1), v)


def _conv(node: Node, numbers: NodeNumbers) -> nn.Conv2d:
    """A module, for a rewrite to find: see rewrites/cut_kernels.py."""
    weight, bias = numbers
    cout, cin, kernel, _ = weight.shape
    groups = node.groups
    conv = nn.Conv2d(cin * groups, cout, kernel, node.stride, (kernel - 1) // 2, 1, groups, bias is not None)
    conv.weight.data = torch.from_numpy(np.ascontiguousarray(weight, np.float32))
    if bias is not None:
        conv.bias = nn.Parameter(torch.from_numpy(np.ascontiguousarray(bias, np.float32)))
    return conv.requires_grad_(False)


def _constants(node: Node, numbers: NodeNumbers | None) -> dict[str, np.ndarray]:
    found = {}
    if numbers is not None and node.kind != "conv":
        weight, bias = numbers
        if node.kind == "batch_norm":
            assert bias is not None
            weight, bias = weight.reshape(-1, 1, 1), bias.reshape(-1, 1, 1)
        found = {"weight": weight, **({} if bias is None else {"bias": bias})}
    if node.kind == "layer_norm":
        channels = node.shape[-1 if node.inputs[0].tokens else 0]
        found |= {"mean": np.full((1, channels), 1 / channels), "epsilon": np.full(1, EPSILON)}
    if node.kind == "sum":
        found["weight"] = np.full((1, 1, 1, 1), np.prod(node.inputs[0].shape[1:]))
    if node.kind == "averages":
        (_, height, width), (_, h, w) = node.inputs[0].shape, node.shape
        if height % h or width % w:
            found |= {"columns": shares(width, w).T, "rows": shares(height, h).T}
    if node.kind in ("attention", "channel_attention", "attend"):
        found["scale"] = np.full((1, 1, 1), node.scale)
    return found


def _moved(node: Node, x: Sequence[Tensor]) -> Tensor:
    """What has no numbers."""
    one, k = x[0], node.kernel
    if node.kind == SAME:
        return one
    if node.kind == "concat":
        return torch.cat(list(x), 1)
    if node.kind == "stack":
        return torch.stack(list(x), 1)
    if node.kind == "frame":
        return one[:, node.first]
    if node.kind == "softmax":
        return F.softmax(one.reshape(1, -1), 1).reshape(one.shape)
    if node.kind == "max_pool":
        return F.max_pool2d(one, 3, 2, 1)
    if node.kind == "deal":
        count, c, h, w = one.shape
        return one.reshape(count, c // node.groups, node.groups, h * w).transpose(1, 2).reshape(one.shape)
    if node.kind == "band":
        return one[:, node.first : node.first + node.shape[0]]
    if node.kind == "resize":
        return F.interpolate(one, node.shape[1:], mode="bilinear", align_corners=False)
    if node.kind == "repeat":
        return F.interpolate(one, node.shape[1:], mode="nearest")
    if node.kind == "crop":
        return one[:, :, : node.shape[1], : node.shape[2]]
    if node.kind == "tokens":
        return one.permute(0, 2, 3, 1).reshape(node.shape)
    if node.kind == "feature":
        c, h, w = node.shape
        return one.reshape(-1, h, w, c).permute(0, 3, 1, 2)
    if node.kind == "unfold":
        c, h, w = node.inputs[0].shape
        return one.reshape(c, h // k, k, w // k, k).permute(2, 4, 1, 3, 0).reshape(node.shape)
    if node.kind == "fold":
        c, h, w = node.shape
        return one.reshape(k, k, h // k, w // k, c).permute(4, 2, 0, 3, 1).reshape(1, c, h, w)
    assert node.kind in ("cut", "join"), node.kind
    return _cut(node, one) if node.kind == "cut" else _join(node, one)


def _cut(node: Node, x: Tensor) -> Tensor:
    (h, w), side, c = node.size, node.kernel, node.shape[2]
    x = F.pad(x.reshape(1, h, w, c), (0, 0, 0, -w % side, 0, -h % side))
    x = x.reshape(ceil_div(h, side), side, ceil_div(w, side), side * c)
    return x.transpose(1, 2).reshape(node.shape)


def _join(node: Node, x: Tensor) -> Tensor:
    (h, w), side, c = node.size, node.kernel, node.shape[2]
    rows, columns = ceil_div(h, side), ceil_div(w, side)
    x = x.reshape(rows, columns, side, side * c).transpose(1, 2).reshape(1, rows * side, columns * side, c)
    return x[:, :h, :w].reshape(node.shape)


def _act(act: str, x: Tensor) -> Tensor:
    if act == RELU:
        return F.relu(x)
    if act == RELU6:
        return F.hardtanh(x, 0.0, 6.0)
    if act == HSWISH:
        return F.hardswish(x)
    if act == SILU:
        return x * torch.sigmoid(x)
    if act == GELU:
        return F.gelu(x)
    if act == SIGMOID:
        return torch.sigmoid(x)
    if act == GATE:
        return F.hardtanh(0.5 * x + 0.5, 0.0, 1.0)
    return x
