"""The public functions that take an architecture, or the name or file of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from litepose_nas import costs
from litepose_nas.costs import Cost
from litepose_nas.resolve import resolve
from litepose_nas.space import Arch

if TYPE_CHECKING:
    from litepose_nas.network import Network

Named = Arch | str | Path  # an architecture, a name in mobile_configs/, a subnet.json, a LitePose JSON, a .safetensors


def arch(named: Named) -> Arch:
    return named if isinstance(named, Arch) else resolve(named).subnet.arch


def build(named: Named, joints: int = 17) -> Network:
    from litepose_nas import network

    return network.build(arch(named), joints)


def cost(named: Named, input: tuple[int, int] | None = None, joints: int = 17) -> Cost:
    """What the network of an architecture costs, at its own resolution unless told otherwise."""
    return costs.cost(arch(named), input, joints)
