"""What a network really computes: each convolution, linear map and activation that torch runs, seen from below."""

from typing import NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import litepose_nas as ln

ATEN = torch.ops.aten
SIMPLE = {
    "relu": "relu", "relu_": "relu", "hardswish": "hswish", "hardswish_": "hswish", "silu": "silu", "silu_": "silu",
    "gelu": "gelu", "sigmoid": "sigmoid", "sigmoid_": "sigmoid", "_softmax": "softmax",
    "_safe_softmax": "softmax",
}  # fmt: skip
CLIPPED = {(0.0, 6.0): "relu6", (0.0, 1.0): "gate"}  # hardtanh's limits; a gate is half the input plus a half before


class Ran(NamedTuple):
    kind: str  # conv, deconv, linear, attention, or the name of an activation
    kernel: int = 0
    groups: int = 1
    cin: int = 0
    cout: int = 0

    @property
    def depthwise(self):
        return self.kind == "conv" and self.groups == self.cin > 1


class _Watch(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name == "convolution":
            weight, transposed, groups = args[1], args[6], args[8]
            assert weight.shape[2] == weight.shape[3]
            ends = (weight.shape[1] * groups, weight.shape[0])  # of a convolution, what comes in stands second
            cin, cout = ends[::-1] if transposed else ends
            self.seen.append(Ran("deconv" if transposed else "conv", weight.shape[2], groups, cin, cout))
        elif name in ("mm", "addmm"):
            weight = args[-1]
            self.seen.append(Ran("linear", cin=weight.shape[0], cout=weight.shape[1]))
        elif name == "bmm":
            self.seen.append(Ran("attention"))
        elif name in SIMPLE:
            self.seen.append(Ran(SIMPLE[name]))
        elif name.rstrip("_") == "hardtanh":
            self.seen.append(Ran(CLIPPED[tuple(map(float, args[1:3]))]))
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def executed(arch, joints=17):
    """Everything that the network of an architecture runs, on its own input; nothing is computed."""
    with torch.device("meta"):
        net = ln.build(arch, joints).eval()
        frames = (arch.clip_length,) if arch.space.task.clips else ()
        picture = torch.empty(1, *frames, 3, *arch.input)
        with _Watch() as watch:
            net(picture)
    return watch.seen
