"""The released LitePose's layout of weights, written out literally, and weights given by a formula."""

import re
import zlib

import numpy as np
import torch

from litepose_nas import build

STEM = {"conv.conv": "0.0", "conv.bn": "0.1", "dw.conv": "1.0", "dw.bn": "1.1", "project.conv": "2", "project.bn": "3"}
BLOCK = {
    "expand.conv": "inv.0",
    "expand.bn": "inv.1",
    "dw.conv": "depth_conv.0",
    "dw.bn": "depth_conv.1",
    "project.conv": "point_conv.0",
    "project.bn": "point_conv.1",
}
OUT = {"dw.conv": "conv.0", "dw.bn": "conv.1", "project": "conv.3"}


def released_name(ours):
    module, _, leaf = ours.rpartition(".")
    kind, _, rest = module.partition(".")
    if kind == "stem":
        return f"first.{STEM[rest]}.{leaf}"
    if kind == "stages":
        i, j, rest = rest.split(".", 2)
        return f"stage.{i}.{j}.{BLOCK[rest]}.{leaf}"
    what, i, rest = rest.split(".", 2)
    if what == "fuse":
        return f"deconv_bnrelu.{i}.0.{leaf}" if rest == "bn" else f"deconv_{rest}.{i}.{leaf}"
    side, _, rest = rest.partition(".")
    return f"final_{side}.{i}.{OUT[rest]}.{leaf}"


def released_shapes(arch, joints):
    with torch.device("meta"):
        return {released_name(name): tuple(t.shape) for name, t in build(arch, joints).state_dict().items()}


def with_maps(shapes):
    """A supernet has, for each block, a map for kernel 5 and one for kernel 3."""
    blocks = [m.group(1) for name in shapes if (m := re.match(r"(stage\.\d+\.\d+)\.inv\.0\.weight", name))]
    maps = {}
    for block in blocks:
        for k in (5, 3):
            maps[f"{block}.Linear{k}x{k}.weight"] = (k * k, k * k)
            maps[f"{block}.Linear{k}x{k}.bias"] = (k * k,)
    return {**shapes, **maps}


def hash01(name, n):
    """Numbers from 0 to 1 that depend on the name only, in 32-bit arithmetic."""
    x = (np.arange(n, dtype=np.uint64) + zlib.crc32(name.encode())) & 0xFFFFFFFF
    for factor, shift in ((0x9E3779B1, 16), (0x85EBCA6B, 13), (0xC2B2AE35, 16)):
        x = (x * np.uint64(factor)) & 0xFFFFFFFF
        x ^= x >> np.uint64(shift)
    return x / 2**32


def formula(name, shape, gain=1.1):
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    u = hash01(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("running_var"):
        values = 0.5 + u
    elif name.endswith(("running_mean", "bias")):
        values = 0.1 * (2 * u - 1)
    elif len(shape) == 1:
        values = 1 + 0.1 * (2 * u - 1)
    else:
        fan = 4 * shape[0] if name.startswith("deconv_r") else np.prod(shape[1:])
        values = (2 * u - 1) * np.sqrt(3 * gain / fan)
    return torch.from_numpy(values.astype(np.float32))


def formula_state(shapes):
    return {name: formula(name, tuple(shape)) for name, shape in shapes.items()}
