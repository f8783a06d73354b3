"""COCO-keypoints annotations as plain arrays: any number of joints, every fault named with its place."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.errors import UserError

# The share of its box that a person fills, where annotations have boxes but no areas.
AREA_OF_BOX = 0.53

Segmentation = Any  # polygons [[x, y, ...], ...], or {"counts": ..., "size": [h, w]}; None where there is only a box


class Ignored(NamedTuple):
    """A region that holds people nobody labelled: a crowd, or one person without joints."""

    box: tuple[float, float, float, float]
    segmentation: Segmentation
    crowd: bool


class Record(NamedTuple):
    """One picture and its labelled people; P may be 0."""

    image_id: int
    path: Path
    width: int
    height: int
    joints: NDArray[np.float32]  # (P, J, 3): x, y, flag: 0 not labelled, 1 hidden, 2 seen
    boxes: NDArray[np.float32]  # (P, 4): left, top, width, height
    areas: NDArray[np.float32]  # (P,)
    annotation_ids: NDArray[np.int64]  # (P,)
    ignored: tuple[Ignored, ...]


class Dataset(NamedTuple):
    """The pictures of one annotation file, in the order of their ids."""

    annotations: Path
    images: Path
    skeleton: Skeleton
    records: tuple[Record, ...]


def read_coco(
    annotations: str | os.PathLike[str], images: str | os.PathLike[str], skeleton: Skeleton | None = None
) -> Dataset:
    """Read an annotation file and check it against the folder of its pictures.

    The skeleton comes from the file's keypoint category unless one is given (with other sigmas, say).
    """
    path, folder = Path(annotations), Path(images)
    document = read_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise UserError(
                f"{path} is not a COCO-keypoints file: it has no list {key!r}; give a person_keypoints JSON"
            )
    if not document["images"]:
        raise UserError(f"{path} lists no images: the dataset is empty; give a file with pictures and people")
    category = _keypoint_category(path, document["categories"])
    found = _skeleton_of(path, category) if skeleton is None else skeleton
    if len(found.names) != len(category["keypoints"]):
        raise UserError(
            f"{path} has {len(category['keypoints'])} joints a person and the skeleton {len(found.names)}; "
            "let both have the same keypoints"
        )
    entries = _image_entries(path, folder, document["images"])
    per_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in document["annotations"]:
        if not isinstance(annotation, dict):
            raise UserError(f"{path}: an annotation is {annotation!r:.40}, not an object; mend or remove it")
        if annotation.get("category_id") != category.get("id"):
            continue
        if annotation.get("image_id") not in entries:
            raise UserError(
                f"{path}: annotation {annotation.get('id')} belongs to image {annotation.get('image_id')}, "
                "which the file does not list; add the image or remove the annotation"
            )
        per_image[annotation["image_id"]].append(annotation)
    records = tuple(
        _record(path, folder, entries[image_id], per_image[image_id], len(found.names)) for image_id in sorted(entries)
    )
    if not any(len(record.joints) for record in records):
        raise UserError(f"{path} holds no person with labelled joints; give a file that does")
    return Dataset(path, folder, found, records)


def split(dataset: Dataset, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return (the rest, a slice of that fraction); which pictures go where depends on their ids and the seed alone."""
    count = len(dataset.records)
    if not 0 < fraction < 1:
        raise UserError(f"cannot split off a fraction of {fraction}: choose one between 0 and 1")
    if count < 2:
        raise UserError(f"cannot split {dataset.annotations}: it has {count} picture; two are needed")
    # Ranks of hashes: a picture more or less moves few others from one side to the other.
    ranked = sorted(dataset.records, key=lambda r: hashlib.sha256(f"{seed}:{r.image_id}".encode()).digest())
    size = min(max(round(fraction * count), 1), count - 1)
    chosen = {record.image_id for record in ranked[:size]}
    rest = tuple(record for record in dataset.records if record.image_id not in chosen)
    part = tuple(record for record in dataset.records if record.image_id in chosen)
    return dataset._replace(records=rest), dataset._replace(records=part)


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3) red, green, blue; pixels stay where the annotations expect them, unrotated."""
    file = Path(path)
    try:
        data = file.read_bytes()  # OpenCV's own reader cannot open every file name
    except OSError as error:
        raise UserError(f"cannot read the picture {file}: {error.strerror or error}; restore the file") from error
    cause = _damage(data)
    image = None
    if cause is None:
        cause = "it is damaged or no picture"
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error:
            image = None
    if image is None:
        raise UserError(f"cannot read the picture {file}: {cause}; fetch it again, or remove it from the annotations")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def load_picture(record: Record) -> NDArray[np.uint8]:
    """Return the picture of a record, which must have the size that its annotations were made for."""
    image = read_image(record.path)
    height, width = image.shape[:2]
    if (width, height) != (record.width, record.height):
        raise UserError(
            f"{record.path} is {width}x{height} pixels, but its annotations are for {record.width}x{record.height}; "
            "use the picture that was annotated"
        )
    return image


def ignored_mask(record: Record) -> NDArray[np.bool_]:
    """Return where in a picture (H, W) people stand whom nobody labelled: no loss belongs there."""
    mask = np.zeros((record.height, record.width), bool)
    for region in record.ignored:
        try:
            mask |= _region_mask(region, record.height, record.width)
        except Exception as error:  # pycocotools raises bare exceptions of many kinds
            raise UserError(
                f"{record.path.name} (image {record.image_id}): the segmentation of a crowd or an unlabelled person "
                "does not fit the picture; mend its run lengths or polygons"
            ) from error
    return mask


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read the annotations {path}: {error.strerror or error}; check the path") from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not whole JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
            "it may be cut off: write or fetch it again"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text: byte {error.start} is no UTF-8; give a JSON file") from error
    if not isinstance(document, dict):
        raise UserError(f"{path} holds a {type(document).__name__}, not a COCO-keypoints object; give another file")
    return document


def _keypoint_category(path: Path, categories: list[Any]) -> dict[str, Any]:
    known = [c for c in categories if isinstance(c, dict) and isinstance(c.get("keypoints"), list) and c["keypoints"]]
    people = [category for category in known if category.get("name") == "person"] or known
    if len(people) != 1:
        raise UserError(
            f"{path} has {len(people)} categories with keypoints; one is needed (or one of them called 'person')"
        )
    return people[0]


def _skeleton_of(path: Path, category: dict[str, Any]) -> Skeleton:
    limbs = category.get("skeleton") or []
    try:
        pairs = [(int(a) - 1, int(b) - 1) for a, b in limbs]  # COCO counts joints from one here
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path}: the skeleton of its category is not a list of pairs of joint numbers; mend it"
        ) from error
    try:
        return make_skeleton([str(name) for name in category["keypoints"]], pairs)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _image_entries(path: Path, folder: Path, images: list[Any]) -> dict[int, dict[str, Any]]:
    entries: dict[int, dict[str, Any]] = {}
    present: dict[Path, set[str]] = {}
    for image in images:
        missing = [
            key for key in ("id", "file_name", "width", "height") if not isinstance(image, dict) or key not in image
        ]
        if missing:
            raise UserError(f"{path}: image {image!r:.60} has no {missing[0]!r}; write it into the file")
        sizes = [value for value in (image["width"], image["height"]) if isinstance(value, int) and value > 0]
        if not isinstance(image["id"], int) or len(sizes) < 2:
            raise UserError(
                f"{path}: image {image['id']!r}: 'id', 'width' and 'height' must be whole numbers; mend them"
            )
        if image["id"] in entries:
            raise UserError(f"{path} lists image {image['id']} twice; keep one")
        file = folder / str(image["file_name"])
        if file.parent not in present:  # one look at a folder instead of one at every file
            present[file.parent] = set(os.listdir(file.parent)) if file.parent.is_dir() else set()
        if file.name not in present[file.parent]:
            raise UserError(
                f"{path}: image {image['id']} has no file {file}; "
                "check the picture folder, or remove the image from the list"
            )
        entries[image["id"]] = image
    return entries


def _record(path: Path, folder: Path, image: dict[str, Any], annotations: list[dict[str, Any]], joints: int) -> Record:
    people: list[tuple[NDArray[np.float32], tuple[float, ...], float, int]] = []
    ignored = []
    for annotation in annotations:
        where = f"{path}: annotation {annotation.get('id')}"
        box = _box(where, annotation)
        crowd = bool(annotation.get("iscrowd", 0))
        points = _points(where, annotation, joints)
        if crowd or not (points[:, 2] > 0).any():
            ignored.append(Ignored(box, annotation.get("segmentation") or None, crowd))
            continue
        area = annotation.get("area", box[2] * box[3] * AREA_OF_BOX)
        if not isinstance(area, int | float) or not isinstance(annotation.get("id"), int):
            raise UserError(f"{where}: 'id' must be a whole number and 'area' a number; mend them")
        people.append((points, box, float(area), annotation["id"]))
    count = len(people)
    return Record(
        image["id"],
        folder / str(image["file_name"]),
        int(image["width"]),
        int(image["height"]),
        np.array([person[0] for person in people], np.float32).reshape(count, joints, 3),
        np.array([person[1] for person in people], np.float32).reshape(count, 4),
        np.array([person[2] for person in people], np.float32),
        np.array([person[3] for person in people], np.int64),
        tuple(ignored),
    )


def _points(where: str, annotation: dict[str, Any], joints: int) -> NDArray[np.float32]:
    numbers = annotation.get("keypoints")
    if numbers is None:  # a person with a box alone
        return np.zeros((joints, 3), np.float32)
    if not isinstance(numbers, list) or len(numbers) != 3 * joints:
        length = len(numbers) if isinstance(numbers, list) else "no list of"
        raise UserError(
            f"{where} has {length} numbers in 'keypoints', but {joints} joints need {3 * joints} (x, y, flag); mend it"
        )
    try:
        points = np.array(numbers, np.float32).reshape(joints, 3)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} has something other than numbers in 'keypoints'; mend it") from error
    if not np.isfinite(points).all() or not set(numbers[2::3]) <= {0, 1, 2}:
        raise UserError(f"{where}: coordinates must be finite and flags 0, 1 or 2; mend its 'keypoints'")
    return points


def _box(where: str, annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    box = annotation.get("bbox")
    try:
        left, top, wide, high = (float(number) for number in box or ())
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} has no 'bbox' of four numbers (left, top, width, height); add it") from error
    return left, top, wide, high


def _damage(data: bytes) -> str | None:
    """Say what is plainly wrong with a file; OpenCV decodes a picture that was cut off and fills it with grey."""
    if not data:
        return "it is empty"
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9", len(data) // 2) < 0:
        return "it is a JPEG that was cut off"
    if data.startswith(b"\x89PNG") and data.rfind(b"IEND", len(data) // 2) < 0:
        return "it is a PNG that was cut off"
    return None


def _region_mask(region: Ignored, height: int, width: int) -> NDArray[np.bool_]:
    segmentation = region.segmentation
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        return _unpack(counts if isinstance(counts, list) else run_lengths(counts), height, width)
    polygons = [polygon for polygon in segmentation or [] if len(polygon) >= 6]
    if polygons:
        merged = rle.merge(rle.frPyObjects(polygons, height, width))
        return _unpack(run_lengths(merged["counts"]), height, width)
    mask = np.zeros((height, width), bool)
    left, top, wide, high = region.box
    rows = slice(max(math.floor(top), 0), max(math.ceil(top + high), 0))
    mask[rows, max(math.floor(left), 0) : max(math.ceil(left + wide), 0)] = True
    return mask


def run_lengths(packed: str | bytes) -> list[int]:
    """Return the run lengths that COCO packs into text: five bits a character, every count less the last but one."""
    # pycocotools decodes them too, but warns about numpy 2 at every call.
    counts: list[int] = []
    value = shift = 0
    for character in packed.encode() if isinstance(packed, str) else packed:
        digit = character - 48
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts


def _unpack(counts: list[int], height: int, width: int) -> NDArray[np.bool_]:
    flags = np.arange(len(counts)) % 2 == 1  # the first run lies outside
    return np.repeat(flags, counts).reshape(width, height).T
