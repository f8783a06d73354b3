"""Tokens in ONNX: sequences, tokens, channels. How features become tokens and back, and what tokens find in others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from litepose_nas.blocks.block import ceil_div
from litepose_nas.blocks.graph import Node
from litepose_nas.plan_files.onnx_ops import OnnxOps


def _tokens(ops: OnnxOps, node: Node, x: str) -> str:
    count, length, c = node.shape
    return ops.turned(ops.shaped(x, count, c, length), 0, 2, 1)


def _feature(ops: OnnxOps, node: Node, x: str) -> str:
    return ops.shaped(ops.turned(x, 0, 2, 1), node.inputs[0].shape[0], *node.shape)


def _cut(ops: OnnxOps, node: Node, x: str) -> str:
    (h, w), side, (count, _, c) = node.size, node.kernel, node.shape
    down, right = -h % side, -w % side
    if down or right:
        x = ops.op("Pad", [ops.shaped(x, 1, h, w, c), ops.whole(0, 0, 0, 0, 0, down, right, 0)])
    if count > 1:
        x = ops.shaped(x, (h + down) // side, side, (w + right) // side, side, c)
        x = ops.turned(x, 0, 2, 1, 3, 4)
    return ops.shaped(x, *node.shape)


def _join(ops: OnnxOps, node: Node, x: str) -> str:
    (h, w), side, c = node.size, node.kernel, node.shape[2]
    rows, columns = ceil_div(h, side), ceil_div(w, side)
    if rows * columns > 1:
        x = ops.turned(ops.shaped(x, rows, columns, side, side, c), 0, 2, 1, 3, 4)
    if (rows * side, columns * side) != (h, w):
        x = ops.part(ops.shaped(x, 1, rows * side, columns * side, c), (0, 0), (h, w), (1, 2))
    return ops.shaped(x, *node.shape)


def _unfold(ops: OnnxOps, node: Node, x: str) -> str:
    (c, h, w), patch = node.inputs[0].shape, node.kernel
    apart = ops.shaped(x, c, h // patch, patch, w // patch, patch)
    return ops.shaped(ops.turned(apart, 2, 4, 1, 3, 0), *node.shape)


def _fold(ops: OnnxOps, node: Node, x: str) -> str:
    (c, h, w), patch = node.shape, node.kernel
    apart = ops.shaped(x, patch, patch, h // patch, w // patch, c)
    return ops.turned(ops.shaped(ops.turned(apart, 2, 0, 3, 1, 4), 1, h, w, c), 0, 3, 1, 2)


def _attention(ops: OnnxOps, node: Node, x: str) -> str:
    q, k, v = _heads(ops, node, x)
    found = _found(ops, q, ops.turned(k, 0, 1, 3, 2), v, node.scale)
    return ops.shaped(ops.turned(found, 0, 2, 1, 3), *node.shape)


def _channel_attention(ops: OnnxOps, node: Node, x: str) -> str:
    q, k, v = _heads(ops, node, x)
    scores = ops.op("Mul", [ops.op("MatMul", [ops.turned(q, 0, 1, 3, 2), k]), ops.scalar(node.scale)])
    found = ops.op("MatMul", [ops.op("Softmax", [scores], axis=-1), ops.turned(v, 0, 1, 3, 2)])
    return ops.shaped(ops.turned(found, 0, 3, 1, 2), *node.shape)


def attend(ops: OnnxOps, node: Node, x: Sequence[str], bias: Sequence[str]) -> str:
    q, k, v = x
    return _found(ops, q, ops.turned(k, 0, 2, 1), v, node.scale, bias)


def _found(ops: OnnxOps, q: str, turned_k: str, v: str, scale: float, bias: Sequence[str] = ()) -> str:
    root = ops.scalar(scale**0.5)  # as torch does, on both sides
    scores = ops.op("MatMul", [ops.op("Mul", [q, root]), ops.op("Mul", [turned_k, root])])
    scores = ops.op("Add", [scores, *bias]) if bias else scores
    return ops.op("MatMul", [ops.op("Softmax", [scores], axis=-1), v])


def _heads(ops: OnnxOps, node: Node, x: str) -> list[str]:
    """Queries, keys and values: sequences, heads, tokens, channels of a head."""
    sequences, length, inner = node.shape
    apart = ops.shaped(x, sequences, length, 3, node.groups, inner // node.groups)
    packed, zero = ops.turned(apart, 2, 0, 3, 1, 4), ops.whole(0)
    return [ops.op("Squeeze", [ops.part(packed, (k,), (k + 1,), (0,)), zero]) for k in range(3)]


TOKEN_OPS: Mapping[str, Callable[[OnnxOps, Node, str], str]] = {
    "tokens": _tokens,
    "feature": _feature,
    "cut": _cut,
    "join": _join,
    "unfold": _unfold,
    "fold": _fold,
    "attention": _attention,
    "channel_attention": _channel_attention,
}
