"""The pictures of the benchmarks real.py and gain.py: photographs of faces or of people, or drawn people.

Some of the training pictures are held out to choose by; of faces68 they show other people than the rest. The pictures
to test on are for the last figure alone: real.py reads none of them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml

from litepose_nas.data.dataset import Dataset, split
from litepose_nas.data.loader import Pictures
from litepose_nas.data.source import open_source
from litepose_nas.search.scoring import Split
from litepose_nas.synthetic.dataset import write_toy

HELD_OUT = 0.2  # of the pictures
HELD_POSES = 0.06  # of those of lspet, of which there are more
EYES = ("p36", "p45")  # the outer corners, in the usual order of 68 points
DRAWN, DRAWN_TEST, DRAWN_PIXELS, SETTING = 1200, 400, 128, "easy"


class Subject(NamedTuple):
    """Pictures to learn from and to judge by, and the figures that say how good a network is."""

    name: str
    dataset: Dataset  # of training, all of it
    split: Split
    figures: tuple[str, ...]
    pck: tuple[float, str]  # within which share of what a joint is found
    read_test: Callable[[], Dataset]

    @property
    def joints(self) -> int:
        return len(self.dataset.skeleton.names)


def faces(room: Path) -> Subject:
    """Return the faces of the folder faces68 in $POSE_REAL_DATA."""
    folder = photographs("faces68")
    words = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    room.mkdir(parents=True, exist_ok=True)
    named = room / "faces.yaml"
    named.write_text(yaml.safe_dump({**words, "path": str(folder), "nme_joints": list(EYES)}), encoding="utf-8")
    source = open_source(str(named))
    whole = source.read("train")
    # The name of a picture is that of a person and a number; a split keeps the pictures of a video together.
    of_person = tuple(record._replace(video=record.path.name.rsplit("_", 1)[0]) for record in whole.records)
    test = functools.partial(source.read, "test")
    return _subject("faces68", whole._replace(records=of_person), ("loss", "nme"), (0.1, "box"), test)


def poses(room: Path) -> Subject:
    """Return the people in hard poses of the folder lspet in $POSE_REAL_DATA; nothing is put into the room."""
    source = open_source(str(photographs("lspet") / "data.yaml"))
    test = functools.partial(source.read, "test")
    return _subject("lspet", source.read("train"), ("loss", "pck"), (0.2, "torso"), test, HELD_POSES)


def photographs(name: str) -> Path:
    return Path(os.environ["POSE_REAL_DATA"]).resolve() / name


def drawn(room: Path) -> Subject:
    """Return drawn people, drawn into the room the first time."""
    folder = room / "people"
    if not folder.exists():
        write_toy(folder, DRAWN, DRAWN_TEST, DRAWN_PIXELS, 0, SETTING)
    source = open_source(str(folder))
    test = functools.partial(source.read, "val")
    return _subject("drawn people", source.read("train"), ("loss", "pck", "ap"), (0.2, "torso"), test)


def _subject(
    name: str,
    whole: Dataset,
    figures: tuple[str, ...],
    pck: tuple[float, str],
    test: Callable[[], Dataset],
    share: float = HELD_OUT,
) -> Subject:
    rest, held = split(whole, share)
    return Subject(name, whole, Split(Pictures(rest), Pictures(held)), figures, pck, test)
