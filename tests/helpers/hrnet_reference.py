"""HigherHRNet and DaViT spelled out as plain functions of tensors under their authors' names."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F


def bn(s: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    running = (s[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *running)


def conv(s: dict[str, Tensor], name: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = s[f"{name}.weight"]
    return bn(s, norm, F.conv2d(x, weight, None, stride, weight.shape[-1] // 2))


def basic(s: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    y = conv(s, f"{name}.conv1", f"{name}.bn1", x).relu()
    return (conv(s, f"{name}.conv2", f"{name}.bn2", y) + x).relu()


def higher_hrnet(s: dict[str, Tensor], x: Tensor, side: list[Tensor] | None = None) -> list[Tensor]:
    def joined(i: int, y: Tensor) -> Tensor:
        if side is None:
            return y
        size = (128, 64, 32, 16)[i]
        return conv(s, f"conv_{size}", f"bn1_{size}", torch.cat([y, side[i]], 1))

    x = conv(s, "conv1", "bn1", x, 2).relu()
    x = joined(0, conv(s, "conv2", "bn2", x, 2).relu())
    for j in range(4):
        name = f"layer1.{j}"
        y = conv(s, f"{name}.conv1", f"{name}.bn1", x).relu()
        y = conv(s, f"{name}.conv2", f"{name}.bn2", y).relu()
        y = conv(s, f"{name}.conv3", f"{name}.bn3", y)
        x = (y + (conv(s, f"{name}.downsample.0", f"{name}.downsample.1", x) if j == 0 else x)).relu()
    xs = [conv(s, "transition1.0.0", "transition1.0.1", x).relu()]
    xs.append(joined(1, conv(s, "transition1.1.0.0", "transition1.1.0.1", x, 2).relu()))
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        if stage > 2:
            name = f"transition{stage - 1}.{stage - 1}.0"
            xs.append(joined(stage - 1, conv(s, f"{name}.0", f"{name}.1", xs[-1], 2).relu()))
        for m in range(modules):
            for i in range(stage):
                for j in range(4):
                    xs[i] = basic(s, f"stage{stage}.{m}.branches.{i}.{j}", xs[i])
            last = stage == 4 and m == 2
            xs = [exchange(s, f"stage{stage}.{m}.fuse_layers.{i}", i, xs) for i in range(1 if last else stage)]
    first = F.conv2d(xs[0], s["final_layers.0.weight"], s["final_layers.0.bias"])
    y = F.conv_transpose2d(torch.cat([xs[0], first], 1), s["deconv_layers.0.0.0.weight"], None, 2, 1)
    y = bn(s, "deconv_layers.0.0.1", y).relu()
    for j in range(1, 5):
        y = basic(s, f"deconv_layers.0.{j}.0", y)
    return [first, F.conv2d(y, s["final_layers.1.weight"], s["final_layers.1.bias"])]


def exchange(s: dict[str, Tensor], name: str, into: int, xs: list[Tensor]) -> Tensor:
    total = torch.zeros(())
    for j, x in enumerate(xs):
        if j > into:
            x = conv(s, f"{name}.{j}.0", f"{name}.{j}.1", x)
            x = x.repeat_interleave(2 ** (j - into), 2).repeat_interleave(2 ** (j - into), 3)
        for k in range(into - j):
            x = conv(s, f"{name}.{j}.{k}.0", f"{name}.{j}.{k}.1", x, 2)
            x = x.relu() if k < into - j - 1 else x
        total = total + x
    return total.relu()


def da_vit(s: dict[str, Tensor], x: Tensor, head: int, window: int = 7) -> list[Tensor]:
    """The features of the four stages, of tensors named as the authors do."""

    def norm(name: str, y: Tensor) -> Tensor:  # y: (batch, height, width, channels)
        return F.layer_norm(y, y.shape[-1:], s[f"{name}.weight"], s[f"{name}.bias"])

    def linear(name: str, y: Tensor) -> Tensor:
        return y @ s[f"{name}.weight"].T + s[f"{name}.bias"]

    def place(name: str, y: Tensor) -> Tensor:
        weight, bias = s[f"{name}.weight"], s[f"{name}.bias"]
        return y + F.conv2d(y.permute(0, 3, 1, 2), weight, bias, 1, 1, 1, len(weight)).permute(0, 2, 3, 1)

    def spatial(name: str, y: Tensor) -> Tensor:
        b, h, w, c = y.shape
        y = F.pad(y, (0, 0, 0, -w % window, 0, -h % window))
        out = torch.empty_like(y)
        for top, left in itertools.product(range(0, y.shape[1], window), range(0, y.shape[2], window)):
            square = y[:, top : top + window, left : left + window].reshape(b, -1, c)
            q, k, v = linear(f"{name}.qkv", square).chunk(3, -1)
            found = [
                (q[..., i : i + head] @ k[..., i : i + head].mT / head**0.5).softmax(-1) @ v[..., i : i + head]
                for i in range(0, c, head)
            ]
            out[:, top : top + window, left : left + window] = torch.cat(found, -1).view(b, window, window, c)
        return linear(f"{name}.proj", out[:, :h, :w])

    def channel(name: str, y: Tensor) -> Tensor:
        q, k, v = linear(f"{name}.qkv", y).flatten(1, 2).chunk(3, -1)
        found = [
            q[..., i : i + head] @ (k[..., i : i + head].mT @ v[..., i : i + head] / head**0.5).softmax(-1).mT
            for i in range(0, q.shape[-1], head)
        ]
        return linear(f"{name}.proj", torch.cat(found, -1).view_as(y))

    features = []
    for i, pairs in enumerate((1, 1, 3, 1)):
        weight, bias = (s[f"patch_embeds.{i}.proj.{leaf}"] for leaf in ("weight", "bias"))
        if i == 0:
            x = norm("patch_embeds.0.norm", F.conv2d(x, weight, bias, 4, 3).permute(0, 2, 3, 1))
        else:
            x = norm(f"patch_embeds.{i}.norm", x).permute(0, 3, 1, 2)
            x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
            x = F.conv2d(x, weight, bias, 2).permute(0, 2, 3, 1)
        for j, (number_, kind) in itertools.product(range(pairs), enumerate((spatial, channel))):
            name = f"main_blocks.{i}.{j}.{number_}"
            x = place(f"{name}.cpe.0.proj", x)
            x = x + kind(f"{name}.attn", norm(f"{name}.norm1", x))
            x = place(f"{name}.cpe.1.proj", x)
            x = x + linear(f"{name}.mlp.fc2", F.gelu(linear(f"{name}.mlp.fc1", norm(f"{name}.norm2", x))))
        out = norm(f"norm{i}", x) if f"norm{i}.weight" in s else x
        features.append(out.permute(0, 3, 1, 2))
    return features
