"""Reading a document with all its faults: what is whole goes into tables, everything else is named."""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data import coco
from litepose_nas.data.check.finding import Finding, clean, finding
from litepose_nas.data.regions import Ignored, region_fault
from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.errors import UserError

Box = tuple[float, float, float, float]
Faults = dict[str, list[str]]  # code -> the records that have it


class Picture(NamedTuple):
    """A picture whose entry is whole and whose file is there."""

    image_id: int
    path: Path
    width: int
    height: int


class People(NamedTuple):
    """The people with labelled joints whose records are whole; coordinates as in the file (COCO's)."""

    names: tuple[str, ...]  # how each record is called in a finding
    picture: NDArray[np.int64]  # (N,): place in the list of pictures, -1 where that entry is not whole
    boxes: NDArray[np.float64]  # (N, 4): left, top, width, height
    areas: NDArray[np.float64]  # (N,)
    joints: NDArray[np.float64]  # (N, J, 3): x, y, flag


class Counts(NamedTuple):
    """How much there is in a split."""

    images: int
    annotations: int
    people: int
    crowds: int
    boxes_alone: int  # people without labelled joints
    joints: int
    hidden: int


class Split(NamedTuple):
    """What could be read of one split."""

    name: str
    place: str
    folder: Path
    skeleton: Skeleton | None
    pictures: tuple[Picture, ...]
    people: People
    counts: Counts
    findings: tuple[Finding, ...]


def read_leniently(
    name: str, place: Path, folder: Path, document: dict[str, Any], skeleton: Skeleton | None = None
) -> Split:
    """Return what a document holds and all that is wrong in it; the skeleton is the file's own unless given."""
    faults: Faults = defaultdict(list)
    images, annotations = document["images"], document["annotations"]
    category, skeleton = _skeleton(place, document["categories"], skeleton, faults)
    pictures = _pictures(place, folder, images, faults)
    people, counts = _people(place, images, pictures, annotations, category, skeleton, faults)
    found = [one for code, examples in faults.items() for one in finding(code, name, examples)]
    return Split(name, str(place), folder, skeleton, pictures, people, counts, tuple(found))


def unreadable(name: str, place: Path, folder: Path, error: UserError) -> Split:
    """Return the split of a file that cannot be read at all."""
    return Split(
        name, str(place), folder, None, (), no_people(0), Counts(*[0] * 7),
        tuple(finding("unreadable", name, [clean(str(error))])),
    )  # fmt: skip


def no_people(joints: int) -> People:
    """Return a table of nobody."""
    return People((), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), np.zeros((0, joints, 3)))


def _skeleton(
    place: Path, categories: list[Any], given: Skeleton | None, faults: Faults
) -> tuple[dict[str, Any] | None, Skeleton | None]:
    with _named(faults, "no-category", place):
        category = coco.keypoint_category(place, categories)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say is found by checks of its own
            if given is not None:
                if len(given.names) != len(category["keypoints"]):
                    count = len(category["keypoints"])
                    faults["bad-skeleton"].append(
                        clean(f"{place}: {count} joints in the category, {len(given.names)} in the skeleton")
                    )
                return category, given
            with _named(faults, "bad-skeleton", place):
                return category, coco.skeleton_of(place, category)
            return category, make_skeleton([f"joint {i}" for i in range(len(category["keypoints"]))])
    return None, given


def _pictures(place: Path, folder: Path, images: list[Any], faults: Faults) -> tuple[Picture, ...]:
    pictures: list[Picture] = []
    present: dict[Path, dict[str, str]] = {}  # folder -> file -> its name without kind and case
    seen: set[int] = set()
    files: dict[Path, int] = {}
    for image in images:
        try:
            coco.check_image(place, image)
        except UserError as error:
            faults["bad-image"].append(_cause(place, error))
            continue
        number, file = image["id"], folder / str(image["file_name"])
        if number in seen:
            faults["duplicate-image"].append(_image(number, image["file_name"]))
            continue
        seen.add(number)
        if file.parent not in present:
            listing = os.listdir(file.parent) if file.parent.is_dir() else []
            present[file.parent] = {one: Path(one).stem.lower() for one in listing}
        if file.name not in present[file.parent]:
            faults["missing-file"].append(_image(number, file) + _like(file.name, present[file.parent]))
            continue
        if file in files:
            faults["file-twice"].append(f"{_image(number, image['file_name'])}, also image {files[file]}")
        files[file] = number
        pictures.append(Picture(number, file, image["width"], image["height"]))
    if not images:
        faults["unreadable"].append(clean(f"{place} lists no images"))
    listed = {file for file in files if file.parent == folder}
    unlisted = sorted(set(present.get(folder, {})) - {file.name for file in listed})
    faults["unlisted-files"].extend(clean(one) for one in unlisted if (folder / one).suffix.lower() in _PICTURES)
    return tuple(pictures)


_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")


def _people(
    place: Path,
    images: list[Any],
    pictures: tuple[Picture, ...],
    annotations: list[Any],
    category: dict[str, Any] | None,
    skeleton: Skeleton | None,
    faults: Faults,
) -> tuple[People, Counts]:
    listed = {image["id"] for image in images if isinstance(image, dict) and coco.is_whole(image.get("id"))}
    where = {picture.image_id: index for index, picture in enumerate(pictures)}
    count = len(category["keypoints"]) if category is not None else 0
    rows: list[tuple[str, int, Box, float, NDArray[np.float32]]] = []
    ids: set[int] = set()
    crowds = alone = 0
    labelled: set[int] = set()
    for annotation in annotations:
        if not isinstance(annotation, dict):
            faults["bad-annotation"].append(clean(f"{annotation!r:.60}"))
            continue
        if category is None:
            continue
        if annotation.get("category_id") != category.get("id"):
            faults["other-category"].append(_annotation(annotation))
            continue
        name = _annotation(annotation)
        image_id = annotation.get("image_id")
        if not coco.is_whole(image_id) or image_id not in listed:
            faults["unknown-image"].append(name)
        number = annotation.get("id")
        if coco.is_whole(number):
            if number in ids:
                faults["duplicate-annotation"].append(name)
            ids.add(number)
        read = _record(name, annotation, count, faults)
        if read is None:
            continue
        box, points, area = read
        index = where.get(image_id, -1) if coco.is_whole(image_id) else -1
        if area is None:
            crowd = bool(annotation.get("iscrowd", 0))
            crowds, alone = crowds + crowd, alone + (not crowd)
            if index >= 0:
                region = Ignored(box, annotation.get("segmentation") or None, crowd)
                fault = region_fault(region, pictures[index].height, pictures[index].width)
                if fault is not None:
                    faults["bad-segmentation"].append(f"{name}: {fault}")
            continue
        rows.append((name, index, box, area, points))
        labelled.add(index)
    if not rows and category is not None:
        faults["no-people"].append(clean(str(place)))
    faults["empty-pictures"].extend(
        _image(picture.image_id, picture.path.name) for i, picture in enumerate(pictures) if i not in labelled
    )
    people = _table(rows, count)
    flags = people.joints[..., 2]
    counts = Counts(
        len(images), len(annotations), len(rows), crowds, alone, int((flags > 0).sum()), int((flags == 1).sum())
    )
    return people, counts


def _record(
    name: str, annotation: dict[str, Any], joints: int, faults: Faults
) -> tuple[Box, NDArray[np.float32], float | None] | None:
    """Return what the strict reader takes of an annotation (the area None for a region to ignore), or name its faults.

    The strict reader's own functions decide, so that it never refuses what passed here.
    """
    whole = True
    box, points, area = (0.0, 0.0, 0.0, 0.0), np.zeros((joints, 3), np.float32), None
    try:
        box = coco.box_of("", annotation)
    except UserError:
        whole = False
        faults[_box_code(annotation.get("bbox"))].append(clean(f"{name}: bbox {annotation.get('bbox')!r:.60}"))
    try:
        points = coco.points_of("", annotation, joints)
    except UserError as error:
        whole = False
        faults[_points_code(annotation["keypoints"], joints)].append(f"{name}: {_cause(None, error)}")
        points[:, 2] = 2  # a person all the same
    if not annotation.get("iscrowd", 0) and (points[:, 2] > 0).any():
        try:
            area = coco.area_of("", annotation, box)
            if not annotation.get("area"):
                faults["filled-area"].append(name)
        except UserError:
            whole = False
            faults["bad-area"].append(clean(f"{name}: area {annotation.get('area')!r:.40}"))
        try:
            coco.id_of("", annotation)
        except UserError:
            whole = False
            faults["bad-id"].append(name)
    return (box, points, area) if whole else None


def _box_code(box: object) -> str:
    numbers = box if isinstance(box, list | tuple) and len(box) == 4 else []
    if not numbers or not all(isinstance(number, int | float) for number in numbers):
        return "no-box"
    return "not-finite" if not all(abs(number) <= coco.LARGEST for number in numbers) else "negative-box"


def _points_code(numbers: object, joints: int) -> str:
    if not isinstance(numbers, list) or len(numbers) != 3 * joints:
        return "keypoint-count"
    if not all(isinstance(number, int | float) for number in numbers):
        return "keypoint-type"
    return "not-finite" if not all(abs(number) <= coco.LARGEST for number in numbers) else "bad-flag"


def _table(rows: list[tuple[str, int, Box, float, NDArray[np.float32]]], joints: int) -> People:
    if not rows:
        return no_people(joints)
    names, picture, boxes, areas, points = zip(*rows, strict=True)
    return People(
        names,
        np.array(picture, np.int64),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(areas, np.float64),
        np.array(points, np.float64).reshape(-1, joints, 3),
    )


@contextmanager
def _named(faults: Faults, code: str, place: Path) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        faults[code].append(_cause(place, error))


def _cause(place: Path | None, error: UserError) -> str:
    """Return an error's own words: the file is said elsewhere, and so is the way out."""
    text = str(error)
    if place is not None:
        text = text.removeprefix(str(place)).lstrip(": ")
    return clean(re.split(r"; (?=\D)", text)[0].strip(": "))


def _image(number: int, file: object) -> str:
    return clean(f"image {number} ({file!s:.200})")


def _annotation(annotation: dict[str, Any]) -> str:
    return clean(f"annotation {annotation.get('id')!r:.40} of image {annotation.get('image_id')!r:.40}")


def _like(name: str, present: dict[str, str]) -> str:
    """Return a hint at a file that differs in its case or kind alone."""
    stem = Path(name).stem.lower()
    return next((clean(f"; there is {other}") for other, known in present.items() if known == stem), "")
