"""COCO-keypoints annotations as plain arrays: any number of joints, every fault named with its place."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.regions import Ignored, region_fault, region_mask
from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.errors import UserError

# The share of its box that a person fills, where annotations have boxes but no areas.
AREA_OF_BOX = 0.53
FLAGS = (0, 1, 2)  # of a joint: not labelled, hidden, seen
LARGEST = 1e9  # pixels: what is farther away is no picture


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
    document = read_document(path)
    if not document["images"]:
        raise UserError(f"{path} lists no images: the dataset is empty; give a file with pictures and people")
    category = keypoint_category(path, document["categories"])
    found = skeleton_of(path, category) if skeleton is None else skeleton
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
        image_id = annotation.get("image_id")
        if not is_whole(image_id) or image_id not in entries:
            raise UserError(
                f"{path}: annotation {annotation.get('id')!r:.40} belongs to image {image_id!r:.40}, "
                "which the file does not list; add the image or remove the annotation"
            )
        per_image[image_id].append(annotation)
    records = tuple(
        _record(path, folder, entries[image_id], per_image[image_id], len(found.names)) for image_id in sorted(entries)
    )
    if not any(len(record.joints) for record in records):
        raise UserError(f"{path} holds no person with labelled joints; give a file that does")
    return Dataset(path, folder, found, records)


def read_document(path: Path) -> dict[str, Any]:
    """Return what an annotation file holds, its three lists at least."""
    document = read_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise UserError(
                f"{path} is not a COCO-keypoints file: it has no list {key!r}; give a person_keypoints JSON"
            )
    return document


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


def read_image(path: str | os.PathLike[str], upright: bool = False) -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3) red, green, blue.

    Pixels stay where annotations expect them; upright, they are turned as the camera's note in the file says.
    """
    file = Path(path)
    try:
        data = file.read_bytes()  # OpenCV's own reader cannot open every file name
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else None
        raise UserError(f"cannot read the picture {file}: {cause or error}; restore the file") from error
    return decode_image(file, data, upright)


def decode_image(file: Path, data: bytes, upright: bool = False) -> NDArray[np.uint8]:
    """Return the picture that the bytes of a file hold, as read_image does."""
    cause = _damage(data)
    image = None
    if cause is None:
        cause = "it is damaged or no picture"
        try:
            flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
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
        fault = region_fault(region, record.height, record.width)
        if fault is not None:
            raise UserError(
                f"{record.path.name} (image {record.image_id}): the segmentation of a crowd or an unlabelled person "
                f"does not fit the picture: {fault}; mend its run lengths or polygons"
            )
        try:
            mask |= region_mask(region, record.height, record.width)
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
    except RecursionError as error:
        raise UserError(f"{path} nests its lists too deeply to be annotations; give another file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text: byte {error.start} is no UTF-8; give a JSON file") from error
    except ValueError as error:  # numbers of thousands of digits
        raise UserError(f"{path} cannot be read: {error}; write it again") from error
    if not isinstance(document, dict):
        raise UserError(f"{path} holds a {type(document).__name__}, not a COCO-keypoints object; give another file")
    return document


def keypoint_category(path: Path, categories: list[Any]) -> dict[str, Any]:
    """Return the category of an annotation file that has joints."""
    known = [c for c in categories if isinstance(c, dict) and isinstance(c.get("keypoints"), list) and c["keypoints"]]
    people = [category for category in known if category.get("name") == "person"] or known
    if len(people) != 1:
        raise UserError(
            f"{path} has {len(people)} categories with keypoints; one is needed (or one of them called 'person')"
        )
    return people[0]


def skeleton_of(path: Path, category: dict[str, Any]) -> Skeleton:
    """Return the skeleton that a keypoint category describes."""
    limbs = category.get("skeleton") or []
    try:
        pairs = [(int(a) - 1, int(b) - 1) for a, b in limbs]  # COCO counts joints from one here
    except (TypeError, ValueError, OverflowError) as error:
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
        check_image(path, image)
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


def check_image(path: Path, image: Any) -> None:
    """Refuse what is no entry of a list of images."""
    missing = [key for key in ("id", "file_name", "width", "height") if not isinstance(image, dict) or key not in image]
    if missing:
        raise UserError(f"{path}: image {image!r:.60} has no {missing[0]!r}; write it into the file")
    sizes = [value for value in (image["width"], image["height"]) if is_whole(value) and value > 0]
    if not is_whole(image["id"]) or len(sizes) < 2:
        raise UserError(
            f"{path}: image {image['id']!r:.40}: 'id', 'width' and 'height' must be whole numbers; mend them"
        )


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number that arrays can hold."""
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _record(path: Path, folder: Path, image: dict[str, Any], annotations: list[dict[str, Any]], joints: int) -> Record:
    people: list[tuple[NDArray[np.float32], tuple[float, ...], float, int]] = []
    ignored = []
    for annotation in annotations:
        where = f"{path}: annotation {annotation.get('id')!r:.40}"
        box = box_of(where, annotation)
        crowd = bool(annotation.get("iscrowd", 0))
        points = points_of(where, annotation, joints)
        if crowd or not (points[:, 2] > 0).any():
            ignored.append(Ignored(box, annotation.get("segmentation") or None, crowd))
            continue
        people.append((points, box, area_of(where, annotation, box), id_of(where, annotation)))
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


def points_of(where: str, annotation: dict[str, Any], joints: int) -> NDArray[np.float32]:
    """Return the joints (J, 3) of an annotation, all zero where it has none; `where` begins every error."""
    numbers = annotation.get("keypoints")
    if numbers is None:  # a person with a box alone
        return np.zeros((joints, 3), np.float32)
    if not isinstance(numbers, list) or len(numbers) != 3 * joints:
        length = len(numbers) if isinstance(numbers, list) else "no list of"
        raise UserError(
            f"{where} has {length} numbers in 'keypoints', but {joints} joints need {3 * joints} (x, y, flag); mend it"
        )
    try:
        if any(isinstance(number, str) for number in numbers):
            raise ValueError("text")  # numpy would read the digits in it
        with np.errstate(over="ignore"):
            points = np.array(numbers, np.float32).reshape(joints, 3)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where} has something other than numbers in 'keypoints'; mend it") from error
    if not (np.abs(points) <= LARGEST).all() or not np.isin(points[:, 2], FLAGS).all():
        raise UserError(f"{where}: coordinates must be finite and flags 0, 1 or 2; mend its 'keypoints'")
    return points


def box_of(where: str, annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    """Return left, top, width, height of an annotation; `where` begins every error."""
    box = annotation.get("bbox")
    try:
        left, top, wide, high = (float(number) for number in box or ())
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where} has no 'bbox' of four numbers (left, top, width, height); add it") from error
    if not max(abs(left), abs(top), abs(wide), abs(high)) <= LARGEST or wide < 0 or high < 0:
        raise UserError(f"{where}: the numbers of 'bbox' must be finite, its width and height not negative; mend it")
    return left, top, wide, high


def area_of(where: str, annotation: dict[str, Any], box: tuple[float, float, float, float]) -> float:
    """Return the area of a person, 0.53 of the box where it is missing or zero; `where` begins every error."""
    area = annotation.get("area")
    if area is None or area == 0:
        return box[2] * box[3] * AREA_OF_BOX
    if not isinstance(area, int | float) or not 0 < area <= LARGEST**2:
        raise UserError(f"{where}: 'area' must be a positive number; mend it, or remove it: it follows from the box")
    return float(area)


def id_of(where: str, annotation: dict[str, Any]) -> int:
    """Return the number of an annotation; `where` begins every error."""
    number = annotation.get("id")
    if not is_whole(number):
        raise UserError(f"{where}: 'id' must be a whole number; mend it")
    return number


def _damage(data: bytes) -> str | None:
    """Say what is plainly wrong with a file; OpenCV decodes a picture that was cut off and fills it with grey."""
    if not data:
        return "it is empty"
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9", _scan(data)) < 0:
        return "it is a JPEG that was cut off"
    if data.startswith(b"\x89PNG") and data.rfind(b"IEND", len(data) // 2) < 0:
        return "it is a PNG that was cut off"
    return None


def _scan(data: bytes) -> int:
    """Return where the pixels of a JPEG begin: the small picture in front of them has an end of its own."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xDA:
            return at
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return min(at, len(data))
