"""A file of JSON lines that survives being killed in the middle of one: what runs/journal.py is to the project.

The first line says what is measured, every other line is a record.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from .errors import MeasuringError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class RoundsFile:
    """Open for appending by one process at a time; `records` holds what was there and what has been added since."""

    def __init__(self, path: Path, header: Mapping[str, Any]):
        """Begin a file with this first line; one that is there keeps its own."""
        self.path = path
        try:
            self._file = open(path, "a+b")  # noqa: SIM115  closed with the process
        except OSError as error:
            raise MeasuringError(f"{path}: cannot be written ({error.strerror}); name another with --out") from error
        try:
            _lock(self._file, path)
            self._file.seek(0)
            lines, whole = _read(self._file.read(), path)
            self._file.truncate(whole)
            self.records: list[dict[str, Any]] = lines[1:]
            self.header: dict[str, Any] = lines[0] if lines else self._written(header)
        except MeasuringError:
            self._file.close()
            raise

    def append(self, record: Mapping[str, Any]) -> None:
        self.records.append(self._written(record))

    def close(self) -> None:
        self._file.close()

    def _written(self, record: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._file.write(json.dumps(record).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise MeasuringError(f"{self.path}: writing failed ({error.strerror}); make room, and go on") from error
        return dict(record)


def _read(data: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines, and how many bytes they are without a last one that was cut short."""
    whole = data.rfind(b"\n") + 1
    return [_parsed(line, path, i + 1) for i, line in enumerate(data[:whole].splitlines())], whole


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise MeasuringError(f"{path}: line {number} is damaged; delete the file to measure from the start")
    return record


def _lock(file: Any, path: Path) -> None:
    """Refuse a file that another process measures into; where the system has no such locks, trust."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise MeasuringError(f"{path}: another run.py measures into it; wait for it, or end it") from error
