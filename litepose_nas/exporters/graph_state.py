"""The tensors of a network under the names and in the shapes that the nodes of its graph have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from litepose_nas.plan_files.numbers import State
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules


def graph_state(net: nn.Module, input: tuple[int, int], frames: int = 0) -> State:
    """The tensors for pictures of (height, width), or for clips of so many frames."""
    state: dict[str, Tensor] = dict(with_ordinary_modules(net).state_dict())

    def keep(path: str, found: dict[str, Tensor]) -> None:
        state.update({f"{path}.{name}": tensor for name, tensor in found.items()})

    def hook(path: str) -> Callable[[Any, Any, Any], None]:
        return lambda module, inputs, output: keep(path, module.graph_weights_for(*inputs[0].shape[-2:]))

    hooks = []
    for path, module in net.named_modules():
        if hasattr(module, "graph_weights"):
            keep(path, module.graph_weights())
        if hasattr(module, "graph_weights_for"):
            hooks.append(module.register_forward_hook(hook(path)))
    try:
        if hooks:
            clip = (frames,) if frames > 1 else ()
            with torch.no_grad():
                net(torch.zeros(1, *clip, 3, *input))
    finally:
        for handle in hooks:
            handle.remove()
    return {name: tensor.detach().numpy() for name, tensor in state.items()}
