"""What a kit and the rest of this project have to agree on of a samples.json."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND, VERSION = "latency samples", 1


def tree_digest(tree: Mapping[str, Any]) -> str:
    """The fingerprint of a space's choices, whatever is said about it."""
    choices = {key: value for key, value in tree.items() if key != "about"}
    return hashlib.sha256(json.dumps(choices).encode()).hexdigest()


def samples_text(data: Mapping[str, Any]) -> str:
    """The file's text, one network or block a line."""
    lines = {key: json.dumps(value, allow_nan=False) for key, value in data.items()}
    for key in ("samples", "blocks"):
        if key in data:
            rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in data[key])
            lines[key] = f"[\n  {rows}\n ]"
    body = ",\n".join(f' "{key}": {line}' for key, line in lines.items())
    return f"{{\n{body}\n}}\n"
