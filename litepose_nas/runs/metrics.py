"""Metrics of a run as JSON lines and as CSV; the CSV is a pure function of the JSON lines.

So a run that was killed and resumed leaves the same bytes as one that was not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from litepose_nas import files
from litepose_nas.errors import UserError
from litepose_nas.runs.journal import MAX_JOURNAL, line_of, parse, plain
from litepose_nas.untrusted.opening import read_bytes

Row = dict[str, Any]
_WORDS = ("nan", "inf", "-inf")  # of numbers that JSON has not


class Metrics:
    """The rows of metrics.jsonl and metrics.csv in a folder, each with a `step`; columns may be added on the way."""

    def __init__(self, folder: str | Path, step: int | None = None):
        """Open the files of a folder, keeping what is there up to a step (everything, unless one is given)."""
        self.lines, self.table = Path(folder) / "metrics.jsonl", Path(folder) / "metrics.csv"
        self.rows = [row for row in read(self.lines) if step is None or row["step"] <= step]
        self.columns = _columns(self.rows)
        # Rewritten even when nothing is cut: the process may have been killed between the two files.
        if self.lines.exists() or self.table.exists():
            files.write(self.lines, b"".join(map(line_of, self.rows)))
            self._rewrite_table()

    def append(self, row: Mapping[str, Any]) -> None:
        kept = plain(row)
        if not _is_row(kept):
            raise ValueError(f"a row of metrics needs numbers, and a whole one as `step`: {row}")
        files.append(self.lines, line_of(kept))
        self.rows.append(kept)
        columns = _columns([dict.fromkeys(self.columns), kept])
        if columns == self.columns:
            files.append(self.table, _csv([kept], columns))
        else:  # a new column: the header grows, and so do the rows above
            self.columns = columns
            self._rewrite_table()

    def _rewrite_table(self) -> None:
        head = _csv([dict(zip(self.columns, self.columns, strict=True))], self.columns)
        files.write(self.table, (head if self.columns else b"") + _csv(self.rows, self.columns))


def read(path: str | Path) -> list[Row]:
    """The rows of a metrics.jsonl; a last line cut in the middle does not count."""
    try:
        lines = read_bytes(path, MAX_JOURNAL).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it from a copy") from error
    rows = []
    for number, line in enumerate(lines[:-1], 1):
        row = parse(line)
        if row is None or not _is_row(row):
            raise UserError(f"{path}: line {number} is no row of metrics; delete it to go on without it")
        rows.append(row)
    return rows


def _is_row(row: Row) -> bool:
    """Whether values are what `plain` makes of numbers, or stand for none."""
    numbers = (value is None or isinstance(value, int | float) or value in _WORDS for value in row.values())
    return type(row.get("step")) is int and all(numbers)


def _columns(rows: Iterable[Row]) -> list[str]:
    """Every key in the order in which they first appear."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _csv(rows: Iterable[Row], columns: list[str]) -> bytes:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return files.encoded(text.getvalue())
