"""litepose-nas: find the best human-pose network for a budget.

Every public name is listed here; each is imported when first used, so that importing the package stays quick. No
module has the name of a public function: importing it would put the module in the place of the function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litepose_nas.api import build, cost
    from litepose_nas.costs import Cost
    from litepose_nas.errors import UserError
    from litepose_nas.formats.subnet_file import Subnet
    from litepose_nas.importers.foreign import import_weights
    from litepose_nas.space import Arch, Space
    from litepose_nas.supernet import Supernet, calibrate, extract
    from litepose_nas.weights import load, save

__version__ = "0.1.0"

_HOME = {
    "Arch": "space",
    "Cost": "costs",
    "Space": "space",
    "Subnet": "formats.subnet_file",
    "Supernet": "supernet",
    "UserError": "errors",
    "build": "api",
    "calibrate": "supernet",
    "cost": "api",
    "extract": "supernet",
    "import_weights": "importers.foreign",
    "load": "weights",
    "save": "weights",
}

__all__ = [
    "Arch",
    "Cost",
    "Space",
    "Subnet",
    "Supernet",
    "UserError",
    "build",
    "calibrate",
    "cost",
    "extract",
    "import_weights",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
