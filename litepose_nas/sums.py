"""Sums in what is written as JSON, so that a bit which a disk or a copy has changed is noticed.

A sum is of what is said, not of its bytes: other spaces and another order of keys change nothing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

SUM = "sum"


def of(content: Mapping[str, Any]) -> str:
    """The sum of a mapping without its own."""
    rest = {key: value for key, value in content.items() if key != SUM}
    return f"{zlib.crc32(json.dumps(rest, sort_keys=True).encode()):08x}"


def added(content: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with its sum as the second key: whoever deletes a line which is not the last leaves JSON."""
    if SUM in content:
        raise ValueError(f"a key `{SUM}` that is not ours: {content[SUM]!r:.60}")
    first = dict(list(content.items())[:1])
    return {**first, SUM: of(content), **content}


def wrong(content: Mapping[str, Any]) -> bool:
    """Whether a mapping has a sum that is not its own; one without a sum is believed."""
    if SUM not in content:
        return any(_is_spoilt(key) for key in content)
    try:
        return bool(content[SUM] != of(content))
    except RecursionError:  # nested deeper than we write
        return True


def _is_spoilt(key: str) -> bool:
    """Whether a key is that of the sum but for one bit, which would make the sum vanish."""
    if len(key) != len(SUM):
        return False
    return sum((ord(one) ^ ord(other)).bit_count() for one, other in zip(key, SUM, strict=True)) == 1
