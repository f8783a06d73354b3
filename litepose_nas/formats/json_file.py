"""Reading JSON that a stranger may have written: every mistake in it becomes one readable error."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from litepose_nas.errors import UserError
from litepose_nas.untrusted import json_text
from litepose_nas.untrusted.display import short
from litepose_nas.untrusted.opening import open_regular

LARGEST = 1 << 20  # bytes; an architecture takes a few thousand


def read(path: str | Path, expected: str, largest: int = LARGEST) -> Any:
    """Return the data in a JSON file; `expected` says in a few words what the file should have been."""
    try:
        with open_regular(path) as file:
            raw = file.read(largest + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(raw) > largest:
        raise UserError(f"{path}: larger than {largest >> 20} MB; expected {expected}")
    try:
        return parse(raw.decode("utf-8-sig"), str(path), expected)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not text in UTF-8; expected {expected}") from error


def parse(text: str, where: str, expected: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
            raise UserError(f"{where}: the key {short(twice)} stands twice; keep one")
        return found

    def constant(word: str) -> NoReturn:
        raise UserError(f"{where}: {word} is not JSON; expected a number")

    def finite(word: str) -> float:
        number = float(word)
        if not math.isfinite(number):  # it could not be written again
            raise UserError(f"{where}: {short(word)} is too large for a number")
        return number

    if not text.strip():
        raise UserError(f"{where}: empty; expected {expected}")
    try:
        data = json_text.load(text, object_pairs_hook=unique, parse_constant=constant, parse_float=finite)
        # half a character, as in "\ud800", cannot even be printed; a byte of a file's name that is no UTF-8 can
        json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UserError(f"{where}, {place}: not JSON: {error.msg}; expected {expected}") from error
    except (RecursionError, ValueError) as error:  # nested too deep; a number of thousands of digits; half a character
        raise UserError(f"{where}: not usable JSON ({str(error)[:80]}); expected {expected}") from error
    return data
