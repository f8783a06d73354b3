"""What fine-tuning changed, as its run keeps it: figures of each joint before and after, and the worst images.

It is `before_after/figures.json`, with each of the worst images beside it, made small.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import files
from litepose_nas.data.fields import path_inside
from litepose_nas.errors import UserError
from litepose_nas.formats import json_file
from litepose_nas.report.example_poses import LARGEST, LARGEST_IMAGE, ExampleImage, Person, image_from, people_from
from litepose_nas.runs.journal import DAMAGED, plain
from litepose_nas.untrusted.opening import read_bytes

FOLDER, FILE = "before_after", "figures.json"
VERSION = 1
EXPECTED = "figures that fine-tuning stored"


class NetworkFigures(NamedTuple):
    """A network on the held-out images."""

    ap: float
    curve: list[float | None]  # the share of all joints that are within each share of the person's box
    joints: list[float | None]  # the share of each joint within `within`
    pixels: list[float | None]  # the median error of each joint of those who were found
    found: int  # people


class WorstImage(NamedTuple):
    image: ExampleImage
    similarity: float  # the mean similarity of those labelled in it after fine-tuning
    before: list[Person]
    after: list[Person]


class BeforeAfter(NamedTuple):
    images: int
    people: int
    names: list[str]  # of joints
    limbs: list[list[int]]
    shares: list[float]  # of the longer side of a box
    within: float
    before: NetworkFigures
    after: NetworkFigures
    worst: list[WorstImage]


def write(run: Path, found: BeforeAfter) -> None:
    """Write all but the images, which have to lie there already."""
    worst = [{**one._asdict(), "image": one.image._asdict()} for one in found.worst]
    told = {
        **found._asdict(), "before": found.before._asdict(), "after": found.after._asdict(), "worst": worst,
        "version": VERSION,
    }  # fmt: skip
    files.write(run / FOLDER / FILE, json.dumps(plain(told)) + "\n")


def read(run: Path) -> BeforeAfter | None:
    """What a run keeps; None where it keeps nothing."""
    path = run / FOLDER / FILE
    if not path.is_file():
        return None
    data = json_file.read(path, EXPECTED, LARGEST)
    try:
        names, shares = [str(name) for name in data["names"]], [float(share) for share in data["shares"]]
        worst = [
            WorstImage(
                image_from(one["image"]),
                float(one["similarity"]),
                people_from(one["before"]),
                people_from(one["after"]),
            )
            for one in data["worst"]
        ]
        for one in worst:
            path_inside(str(path), one.image.name)
        return BeforeAfter(
            int(data["images"]),
            int(data["people"]),
            names,
            [[int(a), int(b)] for a, b in data["limbs"]],
            shares,
            float(data["within"]),
            _figures(data["before"], len(names), len(shares)),
            _figures(data["after"], len(names), len(shares)),
            worst,
        )
    except DAMAGED as error:
        raise UserError(f"{path}: damaged ({error!r:.80}); delete the folder") from error


def image_bytes(run: Path, image: ExampleImage) -> bytes:
    path = run / FOLDER / path_inside(str(run / FOLDER / FILE), image.name)
    try:
        return read_bytes(path, LARGEST_IMAGE)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); delete {run / FOLDER}") from error


def _figures(data: Any, joints: int, shares: int) -> NetworkFigures:
    curve, each, pixels = (list(map(_number, data[key])) for key in ("curve", "joints", "pixels"))
    if (len(curve), len(each), len(pixels)) != (shares, joints, joints):
        raise ValueError("figures of another number of joints")
    return NetworkFigures(float(data["ap"]), curve, each, pixels, int(data["found"]))


def _number(value: Any) -> float | None:
    number = None if value is None else float(value)
    return number if number is not None and number - number == 0 else None
