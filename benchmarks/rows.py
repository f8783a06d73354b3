"""Rows of a CSV that are added one at a time, so that a run that was killed goes on behind the last whole one."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from litepose_nas import files


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows that are there; a last line that was cut is dropped from the file."""
    if not path.exists():
        return []
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        files.cut(path, end)
    return list(csv.DictReader(io.StringIO(whole[:end].decode())))


def append(path: Path, row: Mapping[str, object]) -> None:
    """Add a row, and before the first one the names of its columns."""
    there = read(path)
    if there and list(there[0]) != list(row):
        raise ValueError(f"{path} has the columns {', '.join(there[0])}, not {', '.join(row)}")
    text = io.StringIO()
    out = csv.DictWriter(text, list(row), lineterminator="\n")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        out.writeheader()
    out.writerow(row)
    files.append(path, text.getvalue().encode(), keep=True)
