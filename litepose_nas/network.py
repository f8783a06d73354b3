"""An ordinary network: the modules of a plan, attached under their names, and the family's wiring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from litepose_nas.blocks.block import Part
from litepose_nas.space import Arch


class Network(nn.Module):
    """A plain PyTorch network; `meta` says what it is when it comes from a file."""

    def __init__(self, parts: Iterable[Part], wiring: Callable[..., Any], make: Callable[[Part], nn.Module]):
        super().__init__()
        self.wiring = wiring
        self.meta: dict[str, Any] = {}
        for part in parts:
            module = make(part)
            attach(self, part.name, frozen(module) if part.frozen else module)

    def forward(self, *inputs: Any) -> Any:
        return self.wiring(self, *inputs)

    def train(self, mode: bool = True) -> Network:
        """Change the mode of all that is not frozen."""
        super().train(mode)
        for module in self.modules():
            if is_frozen(module):
                module.training = False
        return self


def frozen(module: nn.Module) -> nn.Module:
    """A module that nothing changes any more: no gradients, and its statistics stay as they are."""
    for inner in module.requires_grad_(False).modules():
        inner.frozen = True  # type: ignore[assignment]
        inner.training = False
    return module


def is_frozen(module: nn.Module) -> bool:
    return getattr(module, "frozen", False) is True


def attach(root: nn.Module, name: str, module: nn.Module) -> None:
    """Attach a module under a dotted name, with plain modules on the way."""
    *path, leaf = name.split(".")
    for step in path:
        if step not in root._modules:
            root.add_module(step, nn.Module())
        root = root.get_submodule(step)
    root.add_module(leaf, module)


def build(arch: Arch, joints: int = 17) -> Network:
    """The network of an architecture, freshly initialised."""
    return Network(arch.plan(joints), arch.space.family.forward, lambda part: part.block.build())
