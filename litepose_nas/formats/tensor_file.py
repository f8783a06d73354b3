"""What a .safetensors file says of itself, read without torch: its metadata, and the shape of every tensor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.errors import UserError
from litepose_nas.formats import json_file
from litepose_nas.untrusted.display import short
from litepose_nas.untrusted.opening import open_regular

LARGEST = 1 << 26  # bytes of header; half a million tensors
EXPECTED = "a .safetensors file"


class Header(NamedTuple):
    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]

    @property
    def elements(self) -> int:
        """How many numbers the file holds."""
        return sum(map(math.prod, self.shapes.values()))


def read_header(path: str | Path) -> Header:
    """Return metadata and shapes; the tensors themselves are neither read nor checked."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 2 <= length <= min(size - 8, LARGEST):
                raise UserError(f"{path}: damaged or not {EXPECTED}: its first 8 bytes are not the size of a header")
            text = file.read(length).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged or not {EXPECTED}: its header is not text") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    data = json_file.parse(text, f"{path}, header", EXPECTED)
    if not isinstance(data, dict):
        raise UserError(f"{path}: damaged or not {EXPECTED}: its header is not a mapping")
    metadata = data.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UserError(f"{path}: damaged or not {EXPECTED}: its metadata is not a map from words to words")
    return Header(metadata, {name: _shape(entry, f"{path}: {short(name)}") for name, entry in data.items()})


def _shape(entry: Any, where: str) -> tuple[int, ...]:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or any(type(size) is not int or size < 0 for size in shape):
        raise UserError(f"{where}: damaged: no shape in the header")
    return tuple(shape)
