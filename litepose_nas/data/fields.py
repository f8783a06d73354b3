"""Looking at what a file holds: numbers, lists and words as expected, or one error that names the place."""

from __future__ import annotations

import gc
import json
import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from litepose_nas.errors import UserError
from litepose_nas.untrusted import json_text
from litepose_nas.untrusted.display import short
from litepose_nas.untrusted.opening import read_bytes

MAX_JSON = 2 << 30  # bytes of annotations; those of COCO-WholeBody are half of it
MAX_COORDINATE = 1e7  # of a coordinate or a side in pixels; no picture comes near


def read_raw(path: Path, what: str = "annotations") -> bytes:
    try:
        return read_bytes(path, MAX_JSON)
    except OSError as error:
        raise UserError(f"cannot read the {what} {path}: {error.strerror or error}; check the path") from error


def load_json(path: Path, what: str = "annotations") -> Any:
    try:
        with collector_off():
            return json_text.load(_text(read_raw(path, what)))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not whole JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
            "it may be cut off: write or fetch it again"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text: byte {error.start} is no UTF-8; give a JSON file") from error
    except ValueError as error:  # a number of thousands of digits, lists in lists without end
        raise UserError(f"{path} holds no {what}: {str(error)[:100]}; give another") from error


def _text(data: bytes) -> str:
    return data.decode(json.detect_encoding(data), "surrogatepass")


@contextmanager
def collector_off() -> Iterator[None]:
    """Let the collector of cycles rest: it would walk again and again through a growing tree that has none."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def path_inside(where: str, name: str) -> PurePosixPath:
    """The path that a file names, without detours; refuse one that leaves the folder it starts from.

    A backslash separates folders on some systems, so it does so here on all: two in front begin a path from the root.
    """
    path = posixpath.normpath(name.replace("\\", "/"))
    if path in (".", "..") or path.startswith(("/", "../")) or os.path.splitdrive(name)[0]:
        raise UserError(
            f"{where}: the name {short(name, 80)} leads out of the folder of the pictures; use names inside it"
        )
    return PurePosixPath(path)


def numbers(where: str, what: str, value: Any, count: int | None = None) -> NDArray[np.float64]:
    """A list of finite numbers of any nesting as an array of float64; `where` begins every error."""
    try:
        array = np.asarray(value) if isinstance(value, list | tuple) else None
    except ValueError:  # lists of unequal length
        array = None
    if array is None or (array.size and array.dtype.kind not in "iuf") or count not in (None, array.size):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise UserError(f"{where}: {what!r} must be a list of {wanted}, not {short(value)}; mend it")
    result = array.astype(np.float64)
    if not (np.abs(result) <= MAX_COORDINATE).all():  # false for NaN as well
        raise UserError(f"{where}: {what!r} must hold finite numbers of pixels, not {short(value)}; mend it")
    return result


def number(where: str, what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_COORDINATE:
        raise UserError(f"{where}: {what!r} must be a number, not {short(value)}; mend it")
    return float(value)


def is_id(value: object) -> TypeGuard[int]:
    """Whether a value can be the id of something: a whole number of 63 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
