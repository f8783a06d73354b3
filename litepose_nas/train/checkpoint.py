"""Checkpoints: what a training needs to go on to the bit, written whole or not at all, read without running code."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from litepose_nas import files
from litepose_nas.errors import UserError


def save(path: Path, state: dict[str, Any]) -> None:
    with files.replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # how torch says that a disk is full
            raise UserError(f"{path}: cannot be written ({str(error)[:120]}); the one before is untouched") from error


def load(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as parts:
            spoilt = parts.testzip()  # torch writes a sum of each part and never looks at it
        if spoilt is not None:
            raise damaged(path, f"{spoilt} in it is not what was written")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        pickle.UnpicklingError,
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


def damaged(path: Path, why: object) -> UserError:
    return UserError(
        f"{path}: not a checkpoint of this training ({str(why)[:160]}); delete it to train that run from the start"
    )
