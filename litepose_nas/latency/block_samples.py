"""Blocks of networks that were measured alone, as samples.json has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from litepose_nas.errors import UserError
from litepose_nas.space import Arch, Space
from litepose_nas.untrusted.display import short


class BlockSample(NamedTuple):
    """One part of a network."""

    arch: Arch
    part: str  # its name in the plan
    ms: float  # the least call
    cpu_ms: float | None = None


def row(block: BlockSample) -> dict[str, Any]:
    found = {"space": block.arch.space.name, **block._asdict(), "arch": block.arch.to_dict()}
    return {key: value for key, value in found.items() if value is not None}


def from_rows(rows: Sequence[Any], spaces: Mapping[str, Space], where: str) -> tuple[BlockSample, ...]:
    """What the rows of a file say; `where` begins every error."""
    return tuple([_block(one, spaces, f"{where}: blocks.{i}") for i, one in enumerate(rows)])


def _block(found: Any, spaces: Mapping[str, Space], where: str) -> BlockSample:
    try:
        arch, part = spaces[found["space"]].arch(found["arch"]), str(found["part"])
        times = [found["ms"], *([found["cpu_ms"]] if "cpu_ms" in found else [])]
    except (KeyError, TypeError, UserError) as error:
        raise UserError(f"{where}: expected a block of a network that was measured, got {short(found)}") from error
    if not all(type(ms) in (int, float) and math.isfinite(ms) and ms >= 0 for ms in times) or not times[0]:
        raise UserError(f"{where}: ms: expected a number above zero, got {short(times)}")
    return BlockSample(arch, part, *times)
