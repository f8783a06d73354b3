"""A journal: an append-only file of JSON lines that survives being killed in the middle of one.

The first line says what the journal is of; every other line is a record. Whoever reopens it must be of the same thing.
Each line has a sum, and the first one says so; journals of version 0.1.0 have none, and go on without.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import files, sums
from litepose_nas.errors import UserError
from litepose_nas.untrusted.opening import open_regular, read_bytes

VERSION = 1
SUMS = "sums"  # in a first line: every line has a sum
MAX_JOURNAL = 1 << 29  # bytes; an evaluation takes two thousand
_WAY_OUT = "restore the file from a copy, or delete this line and those after it to go on from there"
_WAY_OUT_OF_FIRST = "restore the file from a copy, or delete it and begin again"
# What reading a file of a run raises where it holds something odd, or is nested without end.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
Record = dict[str, Any]


class Read(NamedTuple):
    path: Path
    header: Record
    records: list[Record]
    whole: int  # bytes of it that are whole lines
    sums: bool = True  # whether its lines have them


class Journal:
    """A journal open for appending; `records` holds what was there and what has been added since."""

    def __init__(
        self,
        path: str | Path,
        header: Mapping[str, Any],
        notes: Mapping[str, Any] | None = None,
        upgrade: Callable[[Record], Record] = dict,
    ):
        """Open or start a journal: an existing one must have equal header values; notes are kept but not compared.

        `upgrade` takes a first line that an older version wrote to what it would be now.
        """
        self.path = Path(path)
        first = plain({"journal": VERSION, **header, "notes": notes or {}})
        line = line_of(sums.added({"journal": VERSION, SUMS: "crc32", **first}))
        self._sums = True
        if not self.path.exists() or self._only_started(line):
            self.header: Record = first
            self.records: list[Record] = []
            files.write(self.path, line)
            return
        _, self.header, self.records, whole, self._sums = read(self.path)
        _check_same(self.path, _upgraded(self.path, self.header, upgrade), first)
        if whole < self.path.stat().st_size:
            files.cut(self.path, whole)
        elif not read_bytes(self.path, MAX_JOURNAL).endswith(b"\n"):
            files.append(self.path, b"\n", keep=True)

    def append(self, record: Mapping[str, Any]) -> Record:
        kept = plain(record)
        files.append(self.path, line_of(sums.added(kept) if self._sums else kept), keep=True)
        self.records.append(kept)
        return kept

    def _only_started(self, first: bytes) -> bool:
        """Whether the file holds no more than the beginning of this first line."""
        try:
            with open_regular(self.path) as file:
                start = file.read(len(first))
        except OSError:  # whoever reads it says why
            return False
        return len(start) < len(first) and first.startswith(start)


def read(path: str | Path) -> Read:
    """What a journal holds without touching it; a last line cut in the middle does not count."""
    try:
        data = read_bytes(path, MAX_JOURNAL)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    lines = data.split(b"\n")
    first = parse(lines[0]) or {}
    if "journal" in first and first["journal"] != VERSION:
        raise UserError(
            f"{path}: a journal of version {first['journal']!s:.40}, and this installation reads version {VERSION}; "
            "use the litepose-nas that wrote it"
        )
    summed = SUMS in first or sums.SUM in first
    records: list[Record] = []
    whole = 0
    for number, line in enumerate(lines, 1):
        last = number == len(lines)
        record = _checked(parse(line), summed)
        if record is None and last and _is_torn(line):
            break
        if record is None:
            raise UserError(f"{path}: line {number} is damaged; {_WAY_OUT if number > 1 else _WAY_OUT_OF_FIRST}")
        records.append(record)
        whole += len(line) + (not last)
    if not records or "journal" not in records[0]:
        raise UserError(f"{path}: not a journal, for its first line does not say of what; name another file")
    header = {key: value for key, value in records[0].items() if key != SUMS}
    return Read(Path(path), header, records[1:], whole, summed)


def _checked(record: Record | None, summed: bool) -> Record | None:
    """A record without its sum, or None where that is missing or wrong."""
    if record is None or not summed:
        return record
    if sums.SUM not in record or sums.wrong(record):
        return None
    del record[sums.SUM]
    return record


def _is_torn(line: bytes) -> bool:
    """Whether a last line may be what a kill left of one: it only cuts, so it leaves no whole mapping."""
    try:
        _STRICT.raw_decode(line.decode("latin-1"))
    except DAMAGED:
        return True
    return not line.startswith(b"{")


def plain(value: Any) -> Any:
    """A value as JSON can hold it and give it back: numbers of numpy as Python's, nan and inf as words."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, bool):
        return number
    if not isinstance(number, (int, float)):
        raise TypeError(f"{value!r}: expected text, numbers, lists and mappings")
    return int(number) if isinstance(number, int) else float(number) if math.isfinite(number) else str(float(number))


def line_of(record: Record) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def parse(line: bytes) -> Record | None:
    """The mapping of numbers, words, lists and mappings in a line of JSON, or None where it holds anything else."""
    try:
        record = _STRICT.decode(line.decode())
        if b"\\ud" in line.lower():  # half a character cannot be written; a byte of a file's name can
            json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except DAMAGED:
        return None
    return record if isinstance(record, dict) else None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number that JSON has")
    return number


# `line_of` writes neither NaN nor infinity, so they are damage.
_STRICT = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _upgraded(path: Path, header: Record, upgrade: Callable[[Record], Record]) -> Record:
    try:
        return upgrade(header)
    except DAMAGED as error:
        raise UserError(f"{path}: its first line is damaged ({error!r:.100}); restore the file from a copy") from error


def _check_same(path: Path, header: Record, first: Record) -> None:
    """Refuse a journal of something else, naming what differs; long values are named only."""
    before, now = dict(_entries(header)), dict(_entries(first))
    for key in {**before, **now}:
        old, new = before.get(key), now.get(key)
        if old != new:
            short = len(f"{old}{new}") < 80
            raise UserError(
                f"{path}: a journal of another {key[-1]}{f': {old!r}, not {new!r}' if short else ''}; "
                "continue it with what it was begun with, or name another run; nothing was changed"
            )


def _entries(header: Record) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The values of a first line, those of each in a list of mappings one by one."""
    for key, value in header.items():
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield from (((key, at, name), inner) for at, item in enumerate(value) for name, inner in item.items())
        elif key != "notes":
            yield (key,), value
