"""S-ViPNAS as its authors released it: names and shapes of the tensors, filled by a formula, and the maths written out.

Nothing here knows this project: tensors as in the released files, and torch's own functions with torch's own groups.
"""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]

RES50 = [  # depth, width, kernel, stride, attention; 16 groups
    (4, 80, 3, 1, True),
    (6, 160, 5, 2, False),
    (7, 304, 5, 2, True),
    (3, 608, 5, 2, True),
]
MBV3 = [  # depth, width, inside over width, kernel, groups, stride, attention, h-swish
    (1, 16, 1, 3, 8, 1, True, False),
    (4, 24, 5, 7, 120, 2, True, False),
    (4, 40, 4, 7, 20, 2, False, False),
    (4, 80, 5, 5, 100, 2, True, True),
    (4, 112, 5, 7, 280, 1, True, True),
    (4, 160, 6, 5, 240, 2, True, True),
]


def formula(name: str, *shape: int) -> Tensor:
    """Numbers that differ from place to place and from name to name, about as large as trained weights."""
    count, seed = math.prod(shape), zlib.crc32(name.encode()) % 1000
    waves = torch.sin(torch.arange(count, dtype=torch.float64) * (0.7 + seed / 3000) + seed)
    fan_in = max(1, math.prod(shape[1:]))
    return (waves * (2 / fan_in) ** 0.5).float().view(shape)


def add_conv(state: State, name: str, *shape: int, bias: int = 0) -> None:
    state[f"{name}.weight"] = formula(name, *shape)
    if bias:
        state[f"{name}.bias"] = 0.3 * formula(f"{name}.bias", bias)


def add_norm(state: State, name: str, channels: int) -> None:
    state[f"{name}.weight"] = 1 + 0.1 * formula(f"{name}.weight", channels)
    state[f"{name}.bias"] = 0.1 * formula(f"{name}.bias", channels)
    state[f"{name}.running_mean"] = 0.1 * formula(f"{name}.mean", channels)
    state[f"{name}.running_var"] = 1 + 0.3 * formula(f"{name}.var", channels).abs()
    state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def add_head(state: State, head: str, cin: int, width: int, groups: int, joints: int) -> None:
    for i in range(3):
        add_conv(state, f"{head}.deconv_layers.{3 * i}", cin, width // groups, 4, 4)
        add_norm(state, f"{head}.deconv_layers.{3 * i + 1}", width)
        cin = width
    add_conv(state, f"{head}.final_layer", joints, width, 1, 1, bias=joints)


def res50_state(head: str, joints: int = 17) -> State:
    state: State = {}
    add_conv(state, "backbone.conv1", 48, 3, 7, 7)
    add_norm(state, "backbone.bn1", 48)
    cin = 48
    for i, (depth, width, kernel, _, attention) in enumerate(RES50, 1):
        for j in range(depth):
            block = f"backbone.layer{i}.{j}"
            add_conv(state, f"{block}.conv1", width, cin, 1, 1)
            add_conv(state, f"{block}.conv2", width, width // 16, kernel, kernel)
            add_conv(state, f"{block}.conv3", width, width, 1, 1)
            for k in (1, 2, 3):
                add_norm(state, f"{block}.bn{k}", width)
            if attention:
                hidden = max(width // 16, 16)
                add_conv(state, f"{block}.attention.conv_mask", 1, width, 1, 1, bias=1)
                add_conv(state, f"{block}.attention.channel_add_conv.0", hidden, width, 1, 1, bias=hidden)
                norm = f"{block}.attention.channel_add_conv.1"
                state[f"{norm}.weight"] = 1 + 0.1 * formula(f"{norm}.weight", hidden, 1, 1)
                state[f"{norm}.bias"] = 0.1 * formula(f"{norm}.bias", hidden, 1, 1)
                add_conv(state, f"{block}.attention.channel_add_conv.3", width, hidden, 1, 1, bias=width)
            if j == 0:
                add_conv(state, f"{block}.downsample.0", width, cin, 1, 1)
                add_norm(state, f"{block}.downsample.1", width)
            cin = width
    add_head(state, head, cin, 144, 16, joints)
    return state


def mbv3_state(head: str, joints: int = 17) -> State:
    state: State = {}
    add_conv(state, "backbone.conv1.conv", 16, 3, 3, 3)
    add_norm(state, "backbone.conv1.bn", 16)
    cin, number = 16, 0
    for depth, width, over, kernel, groups, _, attention, _ in MBV3:
        inside = width * over
        for _ in range(depth):
            number += 1
            block = f"backbone.layer{number}"
            if over > 1:
                add_conv(state, f"{block}.expand_conv.conv", inside, cin, 1, 1)
                add_norm(state, f"{block}.expand_conv.bn", inside)
            add_conv(state, f"{block}.depthwise_conv.conv", inside, inside // groups, kernel, kernel)
            add_norm(state, f"{block}.depthwise_conv.bn", inside)
            if attention:
                add_conv(state, f"{block}.se.conv1.conv", inside // 4, inside, 1, 1, bias=inside // 4)
                add_conv(state, f"{block}.se.conv2.conv", inside, inside // 4, 1, 1, bias=inside)
            add_conv(state, f"{block}.linear_conv.conv", width, inside, 1, 1)
            add_norm(state, f"{block}.linear_conv.bn", width)
            cin = width
    add_head(state, head, cin, 160, 160, joints)
    return state


def norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var, weight, bias = (state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    shape = (1, -1, 1, 1)
    return (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt() * weight.view(shape) + bias.view(shape)


def run_head(state: State, head: str, x: Tensor, groups: int) -> Tensor:
    for i in range(3):
        x = F.conv_transpose2d(x, state[f"{head}.deconv_layers.{3 * i}.weight"], stride=2, padding=1, groups=groups)
        x = F.relu(norm(state, f"{head}.deconv_layers.{3 * i + 1}", x))
    return F.conv2d(x, state[f"{head}.final_layer.weight"], state[f"{head}.final_layer.bias"])


def run_res50(state: State, head: str, x: Tensor) -> Tensor:
    x = F.relu(norm(state, "backbone.bn1", F.conv2d(x, state["backbone.conv1.weight"], stride=2, padding=3)))
    x = F.max_pool2d(x, 3, 2, 1)
    for i, (depth, _, kernel, first_stride, attention) in enumerate(RES50, 1):
        for j in range(depth):
            block, stride = f"backbone.layer{i}.{j}", first_stride if j == 0 else 1
            y = F.relu(norm(state, f"{block}.bn1", F.conv2d(x, state[f"{block}.conv1.weight"])))
            y = F.conv2d(y, state[f"{block}.conv2.weight"], stride=stride, padding=kernel // 2, groups=16)
            y = F.relu(norm(state, f"{block}.bn2", y))
            y = norm(state, f"{block}.bn3", F.conv2d(y, state[f"{block}.conv3.weight"]))
            if attention:
                y = y + context(state, f"{block}.attention", y)
            if j == 0:
                x = F.conv2d(x, state[f"{block}.downsample.0.weight"], stride=stride)
                x = norm(state, f"{block}.downsample.1", x)
            x = F.relu(y + x)
    return run_head(state, head, x, 16)


def context(state: State, name: str, x: Tensor) -> Tensor:
    def conv(part: str, y: Tensor) -> Tensor:
        return F.conv2d(y, state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"])

    weights = conv("conv_mask", x).flatten(1).softmax(1)  # of every position
    y = conv("channel_add_conv.0", torch.einsum("bcp,bp->bc", x.flatten(2), weights)[:, :, None, None])
    part = f"{name}.channel_add_conv.1"
    y = F.layer_norm(y, y.shape[1:], state[f"{part}.weight"], state[f"{part}.bias"])
    return conv("channel_add_conv.3", F.relu(y))


def run_mbv3(state: State, head: str, x: Tensor) -> Tensor:
    def hswish(y: Tensor) -> Tensor:
        return y * F.relu6(y + 3) / 6

    x = hswish(norm(state, "backbone.conv1.bn", F.conv2d(x, state["backbone.conv1.conv.weight"], stride=2, padding=1)))
    number = 0
    for depth, width, over, kernel, groups, first_stride, attention, smooth in MBV3:
        act = hswish if smooth else F.relu
        for j in range(depth):
            number += 1
            block, stride, y = f"backbone.layer{number}", first_stride if j == 0 else 1, x
            if over > 1:
                y = F.conv2d(y, state[f"{block}.expand_conv.conv.weight"])
                y = act(norm(state, f"{block}.expand_conv.bn", y))
            y = F.conv2d(
                y, state[f"{block}.depthwise_conv.conv.weight"], stride=stride, padding=kernel // 2, groups=groups
            )
            y = act(norm(state, f"{block}.depthwise_conv.bn", y))
            if attention:
                gate = y.mean((2, 3), keepdim=True)
                for k in ("conv1", "conv2"):
                    gate = F.conv2d(gate, state[f"{block}.se.{k}.conv.weight"], state[f"{block}.se.{k}.conv.bias"])
                    gate = F.relu(gate) if k == "conv1" else ((gate + 1) / 2).clamp(0, 1)
                y = y * gate
            y = norm(state, f"{block}.linear_conv.bn", F.conv2d(y, state[f"{block}.linear_conv.conv.weight"]))
            x = x + y if stride == 1 and x.shape[1] == width else y
    return run_head(state, head, x, 160)
