"""Reading a document with all its faults: what is whole goes into tables, everything else is named."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data import zipped
from litepose_nas.data.annotations import keypoint_category, skeleton_of
from litepose_nas.data.check.finding import DataFinding, finding
from litepose_nas.data.dataset import Document
from litepose_nas.data.fields import MAX_COORDINATE, is_id
from litepose_nas.data.image_entry import check_image, ignored_regions, is_labelled
from litepose_nas.data.person import LabelledPerson, read_person
from litepose_nas.data.regions import IgnoredRegion, region_fault
from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.errors import UserError
from litepose_nas.untrusted.display import short

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
Faults = dict[str, list[str]]  # code -> the records that have it


class ListedPicture(NamedTuple):
    image_id: int
    path: Path
    width: int
    height: int


class PeopleTable(NamedTuple):
    """The people with labelled joints whose records are whole; coordinates as in the file (COCO's)."""

    names: tuple[str, ...]  # how each record is called in a finding
    picture: NDArray[np.int64]  # (N,): place in the list of pictures, -1 where that entry is not whole
    boxes: NDArray[np.float64]  # (N, 4): left, top, width, height
    areas: NDArray[np.float64]  # (N,)
    joints: NDArray[np.float64]  # (N, J, 3): x, y, flag


class Counts(NamedTuple):
    images: int
    annotations: int
    people: int
    crowds: int
    boxes_alone: int  # people without labelled joints
    joints: int
    hidden: int


class CheckedSplit(NamedTuple):
    name: str
    place: str
    folder: Path
    skeleton: Skeleton | None
    pictures: tuple[ListedPicture, ...]
    people: PeopleTable
    counts: Counts
    findings: tuple[DataFinding, ...]
    category: str = "person"


def read_tolerantly(
    name: str, place: Path, folder: Path, document: Document, skeleton: Skeleton | None = None, people: bool = True
) -> CheckedSplit:
    """What a document holds and all that is wrong in it; the skeleton is the file's own unless given.

    Without `people` a split may have no labelled person.
    """
    faults: Faults = defaultdict(list)
    category, skeleton = _skeleton(place, document["categories"], skeleton, faults)
    pictures, regions = _pictures(place, folder, document["images"], faults)
    table, counts = _people(place, document, pictures, category, faults)
    if people and category is not None and not table.names:
        faults["no-people"].append(str(place))
    used = set(table.picture.tolist())
    faults["empty-pictures"].extend(
        _image(picture.image_id, picture.path.name) for i, picture in enumerate(pictures) if i not in used
    )
    found = tuple(one for code, examples in faults.items() for one in finding(code, name, examples))
    counts = counts._replace(crowds=counts.crowds + regions)
    called = str((category or {}).get("name", "person"))
    return CheckedSplit(name, str(place), folder, skeleton, pictures, table, counts, found, called)


def unreadable_split(name: str, place: Path, folder: Path) -> CheckedSplit:
    return CheckedSplit(name, str(place), folder, None, (), _table([], 0), Counts(*[0] * 7), ())


def _skeleton(
    place: Path, categories: list[Any], given: Skeleton | None, faults: Faults
) -> tuple[dict[str, Any] | None, Skeleton | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is found by checks of its own
        with _named(faults, "no-category", place):
            category = keypoint_category(place, categories)
            count = len(category["keypoints"])
            if given is not None and len(given.names) == count:
                return category, given
            if given is not None:
                faults["bad-skeleton"].append(f"{place}: {count} joints, but {len(given.names)} in the skeleton")
            with _named(faults, "bad-skeleton", place):
                return category, skeleton_of(place, category)
            return category, make_skeleton([f"joint {i}" for i in range(count)])
    return None, given


def _pictures(place: Path, folder: Path, images: list[Any], faults: Faults) -> tuple[tuple[ListedPicture, ...], int]:
    """The pictures that can be used, and how many regions they ignore."""
    pictures: list[ListedPicture] = []
    present: dict[Path, dict[str, str]] = {}  # folder -> file -> its name without kind and case
    seen: set[int] = set()
    files: dict[Path, int] = {}
    regions = 0
    for image in images:
        try:
            check_image(place, image, not isinstance(image, dict) or is_labelled(image))
        except UserError as error:
            faults["bad-image"].append(_reason(place, error))
            continue
        number, file = image["id"], folder / image["file_name"]
        if number in seen:
            faults["duplicate-image"].append(_image(number, image["file_name"]))
            continue
        seen.add(number)
        if not is_labelled(image):  # a frame of a video between those that are labelled
            continue
        if file.parent not in present:
            present[file.parent] = {one: Path(one).stem.lower() for one in zipped.names_in(file.parent)}
        if file.name not in present[file.parent]:
            faults["missing-file"].append(_image(number, file) + _like(file, present[file.parent]))
            continue
        if file in files:
            faults["file-twice"].append(f"{_image(number, image['file_name'])}, also image {files[file]}")
        files[file] = number
        picture = ListedPicture(number, file, image["width"], image["height"])
        pictures.append(picture)
        regions += _regions(place, image, picture, faults)
    if not images:
        faults["unreadable"].append(f"{place} lists no images")
    listed = {file.name for file in files if file.parent == folder}
    faults["unlisted-files"].extend(
        one for one in sorted({*present.get(folder, {})} - listed) if Path(one).suffix.lower() in _PICTURES
    )
    return tuple(pictures), regions


def _regions(place: Path, image: dict[str, Any], picture: ListedPicture, faults: Faults) -> int:
    try:
        regions = ignored_regions(place, image)
    except UserError as error:
        faults["bad-segmentation"].append(_reason(place, error))
        return 0
    for region in regions:
        _check_region(_image(picture.image_id, picture.path.name), region, picture, faults)
    return len(regions)


def _check_region(name: str, region: IgnoredRegion, picture: ListedPicture, faults: Faults) -> None:
    fault = region_fault(region, picture.height, picture.width)
    if fault is not None:
        faults["bad-segmentation"].append(f"{name}: {fault}")


def _people(
    place: Path,
    document: Document,
    pictures: tuple[ListedPicture, ...],
    category: dict[str, Any] | None,
    faults: Faults,
) -> tuple[PeopleTable, Counts]:
    images, annotations = document["images"], document["annotations"]
    listed = {image["id"]: image for image in images if isinstance(image, dict) and is_id(image.get("id"))}
    where = {picture.image_id: index for index, picture in enumerate(pictures)}
    count = len(category["keypoints"]) if category is not None else 0
    rows: list[tuple[str, int, LabelledPerson]] = []
    ids: set[int] = set()
    crowds = alone = 0
    for annotation in annotations:
        if not isinstance(annotation, dict):
            faults["bad-annotation"].append(f"{short(annotation)}")
            continue
        name, image_id, number = _annotation(annotation), annotation.get("image_id"), annotation.get("id")
        if category is None or annotation.get("category_id") != category.get("id"):
            faults["other-category"].extend([name] * (category is not None))
            continue
        if not is_id(image_id) or image_id not in listed:
            faults["unknown-image"].append(name)
        if is_id(number):
            if number in ids:
                faults["duplicate-annotation"].append(name)
            ids.add(number)
        index = where.get(image_id, -1) if is_id(image_id) else -1
        if index < 0 and is_id(image_id) and not is_labelled(listed.get(image_id, {})):
            continue
        try:
            # The strict reader's own words decide, so that it never refuses what passes here.
            found = read_person("", annotation, count)
        except UserError as error:
            for code, cause in _causes(annotation, count) or [("bad-annotation", _reason(None, error))]:
                faults[code].append(f"{name}: {cause}")
            continue
        if isinstance(found, IgnoredRegion):
            crowds, alone = crowds + found.crowd, alone + (not found.crowd)
            if index >= 0:
                _check_region(name, found, pictures[index], faults)
            continue
        if not annotation.get("area"):
            faults["filled-area"].append(name)
        rows.append((name, index, found))
    people = _table(rows, count)
    flags = people.joints[..., 2]
    hidden = int((flags == 1).sum())
    return people, Counts(len(images), len(annotations), len(rows), crowds, alone, int((flags > 0).sum()), hidden)


def _causes(annotation: dict[str, Any], joints: int) -> list[tuple[str, str]]:
    """Return (code, what is there) for each fault of an annotation that the strict reader refuses."""
    box, points, area = annotation.get("bbox"), annotation.get("keypoints"), annotation.get("area")
    causes = []
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(_is_number, box)):
        causes.append(("no-box", f"bbox {short(box)}"))
    elif not all(abs(number) <= MAX_COORDINATE for number in box):
        causes.append(("not-finite", f"bbox {short(box)}"))
    elif box[2] < 0 or box[3] < 0:
        causes.append(("negative-box", f"bbox {short(box)}"))
    if points is not None and (not isinstance(points, list) or len(points) != 3 * joints):
        length = len(points) if isinstance(points, list) else "no list of"
        causes.append(("keypoint-count", f"{length} numbers, {3 * joints} needed"))
    elif points is not None:
        for place, number in enumerate(points):
            code = _number_code(number, place)
            if code:
                said = f"joint {place // 3 + 1} of {joints} has {('x', 'y', 'flag')[place % 3]} {short(number, 40)}"
                causes.append((code, said))
                break
    if area is not None and (not _is_number(area) or not 0 <= area <= MAX_COORDINATE**2):
        causes.append(("bad-area", f"area {short(area, 40)}"))
    if not is_id(annotation.get("id")):
        causes.append(("bad-id", f"id {short(annotation.get('id'), 40)}"))
    return causes


def _number_code(number: object, place: int) -> str:
    if not _is_number(number):
        return "keypoint-type"
    if not abs(number) <= MAX_COORDINATE:
        return "not-finite"
    return "bad-flag" if place % 3 == 2 and number not in (0, 1, 2) else ""


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _table(rows: list[tuple[str, int, LabelledPerson]], joints: int) -> PeopleTable:
    return PeopleTable(
        tuple(name for name, _, _ in rows),
        np.array([index for _, index, _ in rows], np.int64),
        np.array([person.box for _, _, person in rows], np.float64).reshape(-1, 4),
        np.array([person.area for _, _, person in rows], np.float64),
        np.array([person.points for _, _, person in rows], np.float64).reshape(len(rows), joints, 3),
    )


@contextmanager
def _named(faults: Faults, code: str, place: Path) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        faults[code].append(_reason(place, error))


def _reason(place: Path | None, error: UserError) -> str:
    """The cause in an error's message, without its file and its way out."""
    text = str(error)
    if place is not None:
        text = text.removeprefix(str(place)).lstrip(": ")
    return re.split(r"; (?=\D)", text)[0].strip(": ")


def _image(number: int, file: object) -> str:
    return f"image {number} ({file!s:.200})"


def _annotation(annotation: dict[str, Any]) -> str:
    return f"annotation {short(annotation.get('id'), 40)} of image {short(annotation.get('image_id'), 40)}"


def _like(file: Path, present: dict[str, str]) -> str:
    """A hint at a file that differs in its case or kind alone, or lies elsewhere in its zip."""
    stem = file.stem.lower()
    alike = (f"; there is {other}" for other, known in present.items() if known == stem)
    return next(alike, zipped.elsewhere(file))
