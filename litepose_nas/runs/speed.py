"""How fast a training went, step by step: what a page shows, and nothing that a resumed run goes by.

It is not in the metrics, which are the same bytes however often a run was interrupted; times are not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import files
from litepose_nas.runs import journal
from litepose_nas.runs.journal import MAX_JOURNAL
from litepose_nas.untrusted.opening import read_bytes

FILE = "speed.jsonl"


class SpeedRow(NamedTuple):
    step: int
    images_per_second: float
    waiting: float  # share of the time spent waiting for images
    left: float  # seconds


def append(folder: Path, row: SpeedRow) -> None:
    files.append(folder / FILE, journal.line_of(journal.plain(row._asdict())))


def read(folder: Path) -> list[SpeedRow]:
    """The rows by step; of steps that were taken again after a kill the last. What is no row is left out."""
    try:
        lines = read_bytes(folder / FILE, MAX_JOURNAL).splitlines()
    except OSError:
        return []
    rows = [row for line in lines if (row := _row(journal.parse(line)))]
    return [by_step for _, by_step in sorted({row.step: row for row in rows}.items())]


def _row(found: dict[str, Any] | None) -> SpeedRow | None:
    values = [(found or {}).get(field) for field in SpeedRow._fields]
    numbers = type(values[0]) is int and all(isinstance(value, int | float) for value in values)
    return SpeedRow(*values) if numbers else None  # type: ignore[arg-type]
