"""Checkpoints: what a training needs to go on to the bit, written whole or not at all, read without running code."""

from __future__ import annotations

import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from litepose_nas import files
from litepose_nas.errors import UserError
from litepose_nas.machine_errors import explained
from litepose_nas.untrusted.archives import check_stored
from litepose_nas.untrusted.display import short
from litepose_nas.untrusted.opening import open_regular


class _Patient:
    """A file for torch's writer, which ends in words of its own when a disk is full: this keeps the system's."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.refusal: OSError | None = None

    def write(self, data: Any) -> int:
        if self.refusal is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.refusal = error
        return len(data)

    def flush(self) -> None:
        """torch asks for it; closing the file does it."""


def save(path: Path, state: dict[str, Any]) -> None:
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        patient: Any = _Patient(file)
        torch.save(state, patient)
        if patient.refusal is not None:
            raise patient.refusal


def load(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as parts:
            check_stored(parts)
            spoilt = parts.testzip()  # torch writes a sum of each part and never looks at it
        if spoilt is not None:
            raise damaged(path, f"{spoilt} in it is not what was written")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's words are for programmers, and of things that are none here
        raise damaged(path, "more than numbers in it, which would run code, or torn") from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise damaged(path, error) from error
    if not isinstance(state, dict) or "step" not in state:
        raise damaged(path, "no step in it")
    return state


def check_like(name: str, found: Any, like: Tensor | tuple[int, ...]) -> None:
    """Refuse what is no tensor of plain numbers in the shape of another."""
    shape = tuple(like.shape) if isinstance(like, Tensor) else like
    plain = isinstance(found, Tensor) and found.layout == torch.strided and found.dtype == torch.float32
    if not plain or tuple(found.shape) != shape:
        raise ValueError(f"{name} is no tensor of shape {list(shape)}")


def whole(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {short(value, 30)}")
    return value


def number(name: str, value: Any) -> float:
    try:
        fits = type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        fits = False
    if not fits:
        raise ValueError(f"{name} is {short(value, 30)}")
    return float(value)


def damaged(path: Path, why: object) -> UserError:
    known = explained(why) if isinstance(why, Exception) else None  # memory is short, or the disk fails
    return known or UserError(
        f"{path}: not a checkpoint of this training ({str(why)[:160]}); delete it to train that run from the start"
    )
