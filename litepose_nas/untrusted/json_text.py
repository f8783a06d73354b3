"""Parsing JSON that a stranger may have written: thousands of brackets are a ValueError like any other mistake."""

from __future__ import annotations

import json
from typing import Any


def load(text: str | bytes, **how: Any) -> Any:
    try:
        return json.loads(text, **how)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
