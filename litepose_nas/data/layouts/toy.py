"""Folders that `data toy` makes: people in COCO's layout, or with a data.yaml that says what else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from litepose_nas.untrusted import json_text
from litepose_nas.untrusted.opening import read_text

DRAWN = Path("runs") / "drawn-people"  # where people are drawn if no dataset is named
SPLITS = ("train", "val")
MARKER, YAML = "toy.json", "data.yaml"
ANNOTATIONS = "annotations/person_keypoints_{}.json"
WHAT = "people drawn by litepose-nas"  # in the marker
_OWN = {"annotations", "images", *SPLITS, MARKER, YAML}


def toy_settings(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The settings that a drawn dataset was made with; None if the folder is no such dataset."""
    path = Path(folder)
    try:
        if not set(os.listdir(path)) <= _OWN:
            return None  # there are other files here: not ours to replace
        settings = json_text.load(read_text(path / MARKER))
    except (OSError, ValueError):
        return None
    return settings if isinstance(settings, dict) and settings.get("what") == WHAT else None


def toy_split(folder: str | os.PathLike[str], split: str) -> tuple[Path, Path]:
    return Path(folder) / ANNOTATIONS.format(split), Path(folder) / split
