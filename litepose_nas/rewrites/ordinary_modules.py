"""Modules with weight axes of our own become the ordinary modules of torch that compute the same."""

from __future__ import annotations

import copy

from torch import nn


def with_ordinary_modules(net: nn.Module) -> nn.Module:
    """A copy with the ordinary module in place of each that has `as_plain()`."""
    net = copy.deepcopy(net)
    for path, module in list(net.named_modules()):
        if hasattr(module, "as_plain"):
            parent, _, name = path.rpartition(".")
            setattr(net.get_submodule(parent), name, module.as_plain())
    return net
