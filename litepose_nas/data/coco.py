"""COCO-keypoints annotations as plain arrays: any number of joints, every fault named with its place."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas.data import zipped
from litepose_nas.data.dataset_yaml import skeleton_named
from litepose_nas.data.fields import is_id, load_json, numbers
from litepose_nas.data.person import area_of, box_of, head_size, points_of
from litepose_nas.data.regions import Ignored, region_fault, region_mask
from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.errors import UserError

MOST_PIXELS = 100_000  # of a side

Document = dict[str, Any]  # what a COCO-keypoints file holds: images, annotations, categories


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
    head_sizes: NDArray[np.float32] | None = None  # (P,): 0 where unknown; None where the file knows none
    track_ids: NDArray[np.int64] | None = None  # (P,): -1 where unknown; None where the file knows none
    video: str = ""  # the video it is a picture of
    frame: int = -1  # the number of the picture in it
    labelled: bool = True  # False: whoever is in it, nobody was asked


class Dataset(NamedTuple):
    """The pictures of one annotation file, in the order of their ids."""

    annotations: Path
    images: Path
    skeleton: Skeleton
    records: tuple[Record, ...]
    reread: Callable[[], Document] | None = None  # gives the document anew where `annotations` is no COCO file


def read_coco(
    annotations: str | os.PathLike[str], images: str | os.PathLike[str], skeleton: Skeleton | None = None
) -> Dataset:
    """Read an annotation file and check it against the folder of its pictures.

    The skeleton comes from the file's keypoint category unless one is given (with other sigmas, say).
    """
    return dataset_of(read_document(Path(annotations)), Path(annotations), Path(images), skeleton)


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
    """Return a document as arrays; `path`, where it was read, begins every error.

    Without `pictures` nothing is asked of the folder, and sizes may be missing; without `people` there may be none.
    Frames of videos that the document calls not labelled are left out, or with `unlabelled` stay where they are there.
    """
    if not document["images"]:
        raise UserError(f"{path} lists no images: the dataset is empty; give a file with pictures and people")
    category = keypoint_category(path, document["categories"])
    found = skeleton_of(path, category) if skeleton is None else skeleton
    if len(found.names) != len(category["keypoints"]):
        raise UserError(
            f"{path} has {len(category['keypoints'])} joints a person and the skeleton {len(found.names)}; "
            "let both have the same keypoints"
        )
    entries = _image_entries(path, folder, document["images"], pictures, unlabelled)
    per_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    seen: set[int] = set()
    for annotation in document["annotations"]:
        if not isinstance(annotation, dict):
            raise UserError(f"{path}: an annotation is {annotation!r:.40}, not an object; mend or remove it")
        if annotation.get("category_id") != category.get("id"):
            continue
        number_of, image_id = annotation.get("id"), annotation.get("image_id")
        if not is_id(image_id) or image_id not in entries:
            raise UserError(
                f"{path}: annotation {number_of!r:.40} belongs to image {image_id!r:.40}, "
                "which the file does not list; add the image or remove the annotation"
            )
        if is_id(number_of):
            if number_of in seen:
                raise UserError(f"{path}: annotation {number_of} stands twice; give each its own id")
            seen.add(number_of)
        per_image[image_id].append(annotation)
    records = tuple(
        _record(path, folder, entries[image_id], per_image[image_id], len(found.names))
        for image_id in sorted(entries)
        if unlabelled or is_labelled(entries[image_id])
    )
    if people and not any(len(record.joints) for record in records):
        raise UserError(f"{path} holds no person with labelled joints; give a file that does")
    return Dataset(path, folder, found, records, reread)


def document_of(dataset: Dataset) -> Document:
    """Return the document that a dataset was read from, read again: all its pictures, also those split off since."""
    return read_document(dataset.annotations) if dataset.reread is None else dataset.reread()


def read_document(path: Path) -> Document:
    """Return what an annotation file holds, its three lists at least."""
    document = read_json(path)
    return check_lists(path, document)


def check_lists(path: Path, document: Document) -> Document:
    """Return a document that has its three lists, or say which it lacks."""
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise UserError(
                f"{path} is not a COCO-keypoints file: it has no list {key!r}; give a person_keypoints JSON"
            )
    return document


def split(dataset: Dataset, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return (the rest, a slice of that fraction); which pictures go where depends on their ids and the seed alone.

    The pictures of a video go together where there are two videos or more.
    """
    count = len(dataset.records)
    if not 0 < fraction < 1:
        raise UserError(f"cannot split off a fraction of {fraction}: choose one between 0 and 1")
    if count < 2:
        raise UserError(f"cannot split {dataset.annotations}: it has {count} picture; two are needed")
    videos = {record.video for record in dataset.records}
    together = len(videos) > 1 and "" not in videos
    groups: dict[str | int, list[int]] = defaultdict(list)
    for record in dataset.records:
        groups[record.video if together else record.image_id].append(record.image_id)
    # Ranks of hashes: a picture more or less moves few others from one side to the other.
    ranked = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    size = min(max(round(fraction * count), 1), count - 1)
    chosen: set[int] = set()
    for name in ranked[:-1]:  # one group at least stays
        if len(chosen) >= size:
            break
        chosen.update(groups[name])
    rest = tuple(record for record in dataset.records if record.image_id not in chosen)
    part = tuple(record for record in dataset.records if record.image_id in chosen)
    return dataset._replace(records=rest), dataset._replace(records=part)


def read_image(path: str | os.PathLike[str], upright: bool = False) -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3) red, green, blue.

    Pixels stay where annotations expect them; upright, they are turned as the camera's note in the file says.
    """
    file = Path(path)
    try:
        data = zipped.read_bytes(file)  # OpenCV's own reader cannot open every file name
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
    document = load_json(path)
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
    """Return the skeleton of a keypoint category: what is published for its joints, else what it describes."""
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
    present: dict[Path, set[str]] = {}
    for image in images:
        shown = pictures and isinstance(image, dict) and is_labelled(image)
        check_image(path, image, shown)
        if image["id"] in entries:
            raise UserError(f"{path} lists image {image['id']} twice; keep one")
        file = folder / image["file_name"]
        there = not (shown or (pictures and unlabelled)) or file.name in _names_in(file.parent, present)
        if not there and shown:
            raise UserError(
                f"{path}: image {image['id']} has no file {file}{zipped.elsewhere(file)}; "
                "check the picture folder, or remove the image from the list"
            )
        if there:  # many keep of a video what is labelled
            entries[image["id"]] = image
    return entries


def is_labelled(image: Mapping[str, Any]) -> bool:
    """Say whether anybody was asked who is in a picture; of a video often a part of the frames alone is labelled."""
    return bool(image.get("is_labeled", True))


def check_image(path: Path, image: Any, sizes: bool = True) -> None:
    """Refuse what is no whole entry of a list of images; without `sizes` it may lack them."""
    wanted = ("id", "file_name", "width", "height") if sizes else ("id", "file_name")
    missing = [key for key in wanted if not isinstance(image, dict) or key not in image]
    if missing:
        raise UserError(f"{path}: image {image!r:.60} has no {missing[0]!r}; write it into the file")
    sides = [image[key] for key in ("width", "height") if key in image]
    if not is_id(image["id"]) or not all(is_id(side) and 0 < side <= MOST_PIXELS for side in sides):
        raise UserError(
            f"{path}: image {image['id']!r:.40}: 'id', 'width' and 'height' must be whole numbers; mend them"
        )
    if not isinstance(image["file_name"], str) or not image["file_name"] or "\0" in image["file_name"]:
        raise UserError(f"{path}: image {image['id']} has no file name, but {image['file_name']!r:.40}; mend it")


def _names_in(folder: Path, present: dict[Path, set[str]]) -> set[str]:
    if folder not in present:  # one look at a folder instead of one at every file
        try:
            present[folder] = set(zipped.names_in(folder))
        except (OSError, ValueError):  # ValueError: a name that no file system can have
            present[folder] = set()
    return present[folder]


class Person(NamedTuple):
    """One person with labelled joints."""

    points: NDArray[np.float32]
    box: tuple[float, float, float, float]
    area: float
    annotation_id: int
    head: float
    track: int


def _record(path: Path, folder: Path, image: dict[str, Any], annotations: list[dict[str, Any]], joints: int) -> Record:
    people: list[Person] = []
    ignored = ignored_regions(path, image)
    for annotation in annotations:
        where = f"{path}: annotation {annotation.get('id')!r:.40}"
        found = read_person(where, annotation, joints)
        if isinstance(found, Person):
            people.append(found)
        else:
            ignored.append(found)
    count = len(people)
    return Record(
        image["id"],
        folder / image["file_name"],
        image.get("width", 0),
        image.get("height", 0),
        np.array([person.points for person in people], np.float32).reshape(count, joints, 3),
        np.array([person.box for person in people], np.float32).reshape(count, 4),
        np.array([person.area for person in people], np.float32),
        np.array([person.annotation_id for person in people], np.int64),
        tuple(ignored),
        np.array([person.head for person in people], np.float32) if any(p.head for p in people) else None,
        np.array([person.track for person in people], np.int64) if any(p.track >= 0 for p in people) else None,
        *_place_in_video(image),
        is_labelled(image),
    )


def read_person(where: str, annotation: dict[str, Any], joints: int) -> Person | Ignored:
    """Return a person, or the region of somebody without labelled joints; `where` begins every error."""
    box = box_of(where, annotation)
    crowd = bool(annotation.get("iscrowd", 0))
    points = points_of(where, annotation, joints)
    if crowd or not (points[:, 2] > 0).any():
        return Ignored(box, annotation.get("segmentation") or None, crowd)
    area = area_of(where, annotation, box)
    if not is_id(annotation.get("id")):
        raise UserError(f"{where}: 'id' must be a whole number; mend it")
    track = annotation.get("track_id", -1)
    if not is_id(track):
        raise UserError(f"{where}: 'track_id' must be a whole number, not {track!r:.40}; mend it")
    return Person(points, box, area, annotation["id"], head_size(where, annotation), track)


def _place_in_video(image: dict[str, Any]) -> tuple[str, int]:
    """Return the video and the number of the frame in it, which PoseTrack and its heirs call their files by."""
    if "vid_id" not in image:
        return "", -1
    stem = Path(image["file_name"]).stem
    return str(image["vid_id"]), int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 19 else -1


def ignored_regions(path: Path, image: dict[str, Any]) -> list[Ignored]:
    """Return the polygons of a picture in which nobody is labelled."""
    regions = image.get("ignore_regions") or []
    if not isinstance(regions, list):
        raise UserError(f"{path}: image {image['id']}: 'ignore_regions' must be a list of polygons; mend it")
    return [_ignored_region(path, image["id"], region) for region in regions]


def _ignored_region(path: Path, image_id: int, region: Any) -> Ignored:
    flat = numbers(f"{path}: image {image_id}", "ignore_regions", region).ravel()
    if len(flat) < 6 or len(flat) % 2:
        raise UserError(f"{path}: image {image_id}: a polygon in 'ignore_regions' needs three corners or more; mend it")
    left, top, right, bottom = flat[0::2].min(), flat[1::2].min(), flat[0::2].max(), flat[1::2].max()
    box = float(left), float(top), float(right - left), float(bottom - top)
    return Ignored(box, [flat.tolist()], True)


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
