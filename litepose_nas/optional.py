"""Optional packages, imported when first needed."""

from __future__ import annotations

import importlib
from typing import Any

from litepose_nas.errors import UserError


def need(module: str, extra: str) -> Any:
    """Import a module of an optional package, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{module} is not installed; get it with: pip install 'litepose-nas[{extra}]'") from error
