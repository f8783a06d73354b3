"""Batch normalisation right behind a convolution or a deconvolution is folded into its weights."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn


@torch.no_grad()
def with_folded_norms(net: nn.Module) -> nn.Module:
    """A copy for use, not for training, in which no module has a `conv` and its `bn`: the convolution is both."""
    net = copy.deepcopy(net).eval()
    for module in list(net.modules()):
        for (name, conv), (other, bn) in pairwise(list(module.named_children())):
            if (name, other) == ("conv", "bn") and isinstance(conv, (nn.Conv2d, nn.ConvTranspose2d)):
                assert isinstance(bn, nn.BatchNorm2d)
                _fold(conv, bn)
                setattr(module, other, nn.Identity())
    return net


def _fold(conv: nn.Conv2d | nn.ConvTranspose2d, bn: nn.BatchNorm2d) -> None:
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    shift = bn.bias - bn.running_mean * scale + (0 if conv.bias is None else conv.bias * scale)
    if isinstance(conv, nn.ConvTranspose2d):  # what comes out stands in its second axis, group by group
        grouped = conv.weight.unflatten(0, (conv.groups, -1)) * scale.view(conv.groups, 1, -1, 1, 1)
        conv.weight = nn.Parameter(grouped.flatten(0, 1))
    else:
        conv.weight = nn.Parameter(conv.weight * scale.view(-1, 1, 1, 1))
    conv.bias = nn.Parameter(shift)
