"""The pictures of the benchmark real.py: photographs of faces, or drawn people, some held out to judge by.

Only the split `train` of the photographs is read. What is held out has other people in it than the rest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import yaml

from litepose_nas.data.dataset import Dataset, split
from litepose_nas.data.loader import Pictures
from litepose_nas.data.source import open_source
from litepose_nas.search.scoring import Split
from litepose_nas.synthetic.dataset import write_toy

HELD_OUT = 0.2  # of the pictures
EYES = ("p36", "p45")  # the outer corners, in the usual order of 68 points
DRAWN, DRAWN_PIXELS, SETTING = 1200, 128, "easy"


class Subject(NamedTuple):
    """Pictures to learn from and to judge by, and the figures that say how good a network is."""

    name: str
    dataset: Dataset  # all of them
    split: Split
    figures: tuple[str, ...]
    pck: tuple[float, str]  # within which share of what a joint is found

    @property
    def joints(self) -> int:
        return len(self.dataset.skeleton.names)


def faces(room: Path) -> Subject:
    """Return the faces of the folder faces68 in $POSE_REAL_DATA."""
    folder = Path(os.environ["POSE_REAL_DATA"]).resolve() / "faces68"
    words = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    room.mkdir(parents=True, exist_ok=True)
    named = room / "faces.yaml"
    named.write_text(yaml.safe_dump({**words, "path": str(folder), "nme_joints": list(EYES)}), encoding="utf-8")
    whole = open_source(str(named)).read("train")
    # The name of a picture is that of a person and a number; a split keeps the pictures of a video together.
    of_person = tuple(record._replace(video=record.path.name.rsplit("_", 1)[0]) for record in whole.records)
    return _subject("faces68", whole._replace(records=of_person), ("loss", "nme"), (0.1, "box"))


def drawn(room: Path) -> Subject:
    """Return drawn people, drawn into the room the first time."""
    folder = room / "people"
    if not folder.exists():
        write_toy(folder, DRAWN, 1, DRAWN_PIXELS, 0, SETTING)
    return _subject("drawn people", open_source(str(folder)).read("train"), ("loss", "pck", "ap"), (0.2, "torso"))


def _subject(name: str, whole: Dataset, figures: tuple[str, ...], pck: tuple[float, str]) -> Subject:
    rest, held = split(whole, HELD_OUT)
    return Subject(name, whole, Split(Pictures(rest), Pictures(held)), figures, pck)
