"""Families of networks: each file is one, with a plan (tree -> blocks) and a forward (the wiring)."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from litepose_nas.errors import UserError, nearest

if TYPE_CHECKING:
    from litepose_nas.blocks import Part


class ClipFrame(NamedTuple):
    """One frame of the clip that a network sees."""

    name: str
    parts: str  # how the names of its parts begin
    choices: str  # how the paths of its choices begin; empty where it has none


class Family(Protocol):
    """What a family of networks offers; a module with these names is one."""

    OUTPUTS: tuple[str, ...]  # names of what `forward` returns, in order
    # And TASK, a name in task_kind.py, where the network does not see whole pictures. A top-down family with STAGES can
    # be used for the later frames of a clip: its forward takes a third argument, a function of a stage's number and
    # feature, and goes on with what that returns.

    def plan(self, tree: Any, joints: int) -> Iterable[Part]:
        """Yield the blocks of one architecture; the only place where widths are decided."""

    def forward(self, net: Any, *inputs: Any) -> Any:
        """Run the blocks attached to a network, the same wiring for every architecture."""


def names() -> list[str]:
    """Return the families that this package has: the files in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Family:
    """Return the family of that name."""
    if name not in names():
        raise UserError(f"family: {name!r} is not one; {nearest(name, names())}")
    return importlib.import_module(f"{__name__}.{name}")


def of(tree: Mapping[str, Any]) -> Family:
    """Return the family that a space's tree describes; one that is made of others says by `of` which it is."""
    family: Any = load(str(tree.get("family", "")))
    return family.of(tree) if hasattr(family, "of") else family
