"""The poses that the networks of a front find in the same few images, as a search leaves them in its run.

They lie in `poses/`: poses.json, and each image, made small. Coordinates are pixels of those small images.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import files
from litepose_nas.data.fields import path_inside
from litepose_nas.errors import UserError
from litepose_nas.formats import json_file
from litepose_nas.runs.journal import DAMAGED
from litepose_nas.untrusted.opening import read_bytes

FOLDER, FILE = "poses", "poses.json"
VERSION = 1
LARGEST, LARGEST_IMAGE = 64 << 20, 4 << 20  # bytes
EXPECTED = "poses that a search stored"

Person = list[float | None]  # x, y, x, y ...; None: no such joint


class ExampleImage(NamedTuple):
    name: str  # of its file
    width: int
    height: int
    caption: str
    truth: list[Person]


class ExamplePoses(NamedTuple):
    """A few images, and who was found in them by each network, by its family and its architecture as JSON."""

    images: list[ExampleImage]
    limbs: list[list[int]]
    networks: dict[tuple[str, str], list[list[Person]]]

    def of(self, family: str, arch: Mapping[str, Any]) -> list[list[Person]] | None:
        return self.networks.get((family, key_of(arch)))


def key_of(arch: Mapping[str, Any]) -> str:
    return json.dumps(arch, sort_keys=True)


def person_of(points: Iterable[Sequence[float]], zoom: float) -> Person:
    """A person as it is stored, from joints (x, y, flag or value) in continuous coordinates of the whole image."""
    person: Person = []
    for x, y, there in points:
        known = there != 0 and math.isfinite(x) and math.isfinite(y)
        person += [round(x * zoom, 1), round(y * zoom, 1)] if known else [None, None]
    return person


def write(run: Path, poses: ExamplePoses) -> None:
    """Write all but the images, which have to lie there already."""
    networks = [
        {"family": family, "arch": json.loads(arch), "people": people}
        for (family, arch), people in poses.networks.items()
    ]
    images = [image._asdict() for image in poses.images]
    whole = {"version": VERSION, "limbs": poses.limbs, "images": images, "networks": networks}
    files.write(run / FOLDER / FILE, json.dumps(whole, separators=(",", ":")) + "\n")


def read(run: Path) -> ExamplePoses | None:
    """What a search stored; None where it stored nothing."""
    path = run / FOLDER / FILE
    if not path.is_file():
        return None
    data = json_file.read(path, EXPECTED, LARGEST)
    try:
        images = [image_from(one) for one in data["images"]]
        networks = {
            (str(one["family"]), key_of(one["arch"])): [people_from(people) for people in one["people"]]
            for one in data["networks"]
        }
        limbs = [[int(a), int(b)] for a, b in data["limbs"]]
        if any(len(people) != len(images) for people in networks.values()):
            raise ValueError("a network without its images")
        for image in images:
            path_inside(str(path), image.name)
    except DAMAGED as error:
        raise UserError(f"{path}: damaged ({error!r:.80}); delete the folder, or search again") from error
    return ExamplePoses(images, limbs, networks)


def image_bytes(run: Path, image: ExampleImage) -> bytes:
    path = run / FOLDER / path_inside(str(run / FOLDER / FILE), image.name)
    try:
        return read_bytes(path, LARGEST_IMAGE)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); delete {run / FOLDER}, or search again") from error


def image_from(data: Any) -> ExampleImage:
    """An image as JSON has it; one that is none raises what DAMAGED names."""
    width, height = int(data["width"]), int(data["height"])
    if not (0 < width < 1e5 and 0 < height < 1e5):
        raise ValueError("an image of no size")
    return ExampleImage(str(data["name"]), width, height, str(data["caption"]), people_from(data["truth"]))


def people_from(value: Any) -> list[Person]:
    people: list[Person] = []
    for person in value:
        if len(person) % 2 or not all(number is None or type(number) in (int, float) for number in person):
            raise ValueError("a person that is no list of coordinates")
        if any((x is None) != (y is None) for x, y in zip(person[::2], person[1::2], strict=True)):
            raise ValueError("half a place")
        people.append(list(person))
    return people
