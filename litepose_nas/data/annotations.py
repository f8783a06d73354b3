"""COCO-keypoints annotations as plain arrays: any number of joints, every fault named with its place."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas.data import zipped
from litepose_nas.data.dataset import Dataset, Document, Record
from litepose_nas.data.dataset_yaml import skeleton_named
from litepose_nas.data.fields import is_id, load_json
from litepose_nas.data.image_entry import check_image, ignored_regions, is_labelled, place_in_video
from litepose_nas.data.person_arrays import read_people
from litepose_nas.data.skeleton import MAX_JOINTS, MAX_NAME, Skeleton, make_skeleton
from litepose_nas.errors import UserError
from litepose_nas.untrusted.display import short


def dataset_of(
    document: Document,
    path: Path,
    folder: Path,
    skeleton: Skeleton | None = None,
    reread: Callable[[], Document] | None = None,
    pictures: bool = True,
    people: bool = True,
    unlabelled: bool = False,
) -> Dataset:
    """A document as arrays; `path`, where it was read, begins every error.

    Without `pictures` nothing is asked of the folder, and sizes may be missing; without `people` there may be none.
    Frames of videos that the document calls not labelled are left out, or with `unlabelled` stay where they are there.
    """
    if not document["images"]:
        raise UserError(f"{path} lists no images: the dataset is empty; give a file with pictures and people")
    category = keypoint_category(path, document["categories"])
    found = skeleton_of(path, category) if skeleton is None else skeleton
    check_joints(path, category, found)
    entries = _image_entries(path, folder, document["images"], pictures, unlabelled)
    per_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    seen: set[int] = set()
    for annotation in document["annotations"]:
        if not isinstance(annotation, dict):
            raise UserError(f"{path}: an annotation is {short(annotation, 40)}, not an object; mend or remove it")
        if annotation.get("category_id") != category.get("id"):
            continue
        number_of, image_id = annotation.get("id"), annotation.get("image_id")
        if not is_id(image_id) or image_id not in entries:
            raise UserError(
                f"{path}: annotation {short(number_of, 40)} belongs to image {short(image_id, 40)}, "
                "which the file does not list; add the image or remove the annotation"
            )
        if is_id(number_of):
            if number_of in seen:
                raise UserError(f"{path}: annotation {number_of} stands twice; give each its own id")
            seen.add(number_of)
        per_image[image_id].append(annotation)
    shown = [entries[number] for number in sorted(entries) if unlabelled or is_labelled(entries[number])]
    records = _records(path, folder, shown, [per_image.get(image["id"], []) for image in shown], len(found.names))
    if people and not any(len(record.joints) for record in records):
        raise UserError(f"{path} holds no person with labelled joints; give a file that does")
    return Dataset(path, folder, found, records, reread, str(category.get("name", "person")))


def document_of(dataset: Dataset) -> Document:
    """The document that a dataset was read from, read again: all its pictures, also those split off since."""
    return read_document(dataset.annotations) if dataset.reread is None else dataset.reread()


def read_document(path: Path) -> Document:
    return one_kind(check_lists(path, read_json(path)))


def check_lists(path: Path, document: Document) -> Document:
    """Check that a document has its three lists."""
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise UserError(
                f"{path} is not a COCO-keypoints file: it has no list {key!r}; give a person_keypoints JSON"
            )
    return document


def read_json(path: Path) -> dict[str, Any]:
    document = load_json(path)
    if not isinstance(document, dict):
        raise UserError(f"{path} holds a {type(document).__name__}, not a COCO-keypoints object; give another file")
    return document


def one_kind(document: Document) -> Document:
    """Make one category of those with the same joints, such as dog, cat and horse, unless one of them is a person.

    It has the id of the first; each annotation keeps the name of its own as `category`, and the category all ids.
    """
    known = _with_joints(document["categories"])
    ids = {category.get("id"): str(category.get("name")) for category in known if is_id(category.get("id"))}
    if (
        not 2 <= len(ids) == len(known)
        or any(category["keypoints"] != known[0]["keypoints"] for category in known)
        or "person" in ids.values()
    ):
        return document
    annotations = [
        {**one, "category_id": known[0]["id"], "category": ids[number]}
        if isinstance(one, dict) and is_id(number := one.get("category_id")) and number in ids
        else one
        for one in document["annotations"]
    ]
    others = [category for category in document["categories"] if category not in known]
    kind = {**known[0], "name": "subject", "ids": list(ids)}
    return {**document, "annotations": annotations, "categories": [kind, *others]}


def _with_joints(categories: list[Any]) -> list[dict[str, Any]]:
    return [c for c in categories if isinstance(c, dict) and isinstance(c.get("keypoints"), list) and c["keypoints"]]


def keypoint_category(path: Path, categories: list[Any]) -> dict[str, Any]:
    known = _with_joints(categories)
    people = [category for category in known if category.get("name") == "person"] or known
    if len(people) != 1:
        raise UserError(
            f"{path} has {len(people)} categories with keypoints; one is needed, "
            "or all with the same keypoints, or one of them called 'person'"
        )
    if (count := len(people[0]["keypoints"])) > MAX_JOINTS:
        raise UserError(f"{path}: a category has {count:,} joints; expected {MAX_JOINTS:,} at most")
    if long := [name for name in people[0]["keypoints"] if len(str(name)) > MAX_NAME]:
        raise UserError(f"{path}: a joint is called {short(long[0])}...; give it a name of {MAX_NAME} letters at most")
    return people[0]


def check_joints(path: Path, category: dict[str, Any], skeleton: Skeleton) -> None:
    if len(skeleton.names) != len(category["keypoints"]):
        raise UserError(
            f"{path} has {len(category['keypoints'])} joints a person and the skeleton {len(skeleton.names)}; "
            "let both have the same keypoints"
        )


def skeleton_of(path: Path, category: dict[str, Any]) -> Skeleton:
    """The skeleton of a keypoint category: what is published for its joints, else what it describes."""
    names = [str(name) for name in category["keypoints"]]
    known = skeleton_named(tuple(names))
    if known is not None:  # the limbs of some published files are those of other joints
        return known
    limbs = category.get("skeleton") or []
    try:
        pairs = [(int(a), int(b)) for a, b in limbs]
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: the skeleton of its category is not a list of pairs of joint numbers; mend it"
        ) from error
    first = 0 if any(0 in pair for pair in pairs) else 1  # COCO counts joints from one here, some of its heirs do not
    try:
        return make_skeleton(names, [(a - first, b - first) for a, b in pairs])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _image_entries(
    path: Path, folder: Path, images: list[Any], pictures: bool, unlabelled: bool
) -> dict[int, dict[str, Any]]:
    entries: dict[int, dict[str, Any]] = {}
    names = functools.cache(lambda inside: set(zipped.names_in(inside)))  # each folder is listed once
    for image in images:
        shown = pictures and isinstance(image, dict) and is_labelled(image)
        check_image(path, image, shown)
        if image["id"] in entries:
            raise UserError(f"{path} lists image {image['id']} twice; keep one")
        if shown or (pictures and unlabelled):
            file = folder / image["file_name"]
            if file.name not in names(file.parent):
                if not shown:  # many keep of a video what is labelled
                    continue
                raise UserError(
                    f"{path}: image {image['id']} has no file {file}{zipped.elsewhere(file)}; "
                    "check the picture folder, or remove the image from the list"
                )
        entries[image["id"]] = image
    return entries


def _records(
    path: Path, folder: Path, images: list[dict[str, Any]], annotations: list[list[dict[str, Any]]], joints: int
) -> tuple[Record, ...]:
    """The records of images with the annotations of each; their arrays are parts of those of the whole file."""
    people = read_people(path, list(chain.from_iterable(annotations)), joints)
    regions, heads, tracks = iter(people.regions), people.head_sizes.any(), (people.track_ids >= 0).any()
    before = np.concatenate([[0], np.cumsum(people.is_person)]).tolist()  # people before each annotation
    records, at = [], 0
    for image, mine in zip(images, annotations, strict=True):
        one = slice(before[at], before[at + len(mine)])
        at += len(mine)
        ignored = ignored_regions(path, image)
        ignored += islice(regions, len(mine) - (one.stop - one.start))
        record = Record(
            image["id"],
            folder / image["file_name"],
            image.get("width", 0),
            image.get("height", 0),
            people.points[one],
            people.boxes[one],
            people.areas[one],
            people.annotation_ids[one],
            tuple(ignored),
            people.head_sizes[one] if heads and people.head_sizes[one].any() else None,
            people.track_ids[one] if tracks and (people.track_ids[one] >= 0).any() else None,
            *place_in_video(image),
            is_labelled(image),
        )
        records.append(record)
    return tuple(records)
