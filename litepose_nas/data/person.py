"""One annotated person: joints, box, area and head of an annotation as numbers, or one error that names it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.fields import MAX_COORDINATE, is_id, numbers
from litepose_nas.data.regions import IgnoredRegion
from litepose_nas.errors import UserError
from litepose_nas.untrusted.display import short

# The share of its box that a person fills, where annotations have boxes but no areas.
AREA_OF_BOX = 0.53
HEAD_OF_BOX = 0.6  # a head's size is this share of the diagonal of its box: 0.8 by 0.75 in MPII's own toolkit


class LabelledPerson(NamedTuple):
    points: NDArray[np.float32]
    box: tuple[float, float, float, float]
    area: float
    annotation_id: int
    head: float
    track: int


def read_person(where: str, annotation: dict[str, Any], joints: int) -> LabelledPerson | IgnoredRegion:
    """A person, or the region of a person without labelled joints; `where` begins every error."""
    box = box_of(where, annotation)
    crowd = bool(annotation.get("iscrowd", 0))
    points = points_of(where, annotation, joints)
    if crowd or not (points[:, 2] > 0).any():
        return IgnoredRegion(box, annotation.get("segmentation") or None, crowd)
    area = area_of(where, annotation, box)
    if not is_id(annotation.get("id")):
        raise UserError(f"{where}: 'id' must be a whole number; mend it")
    track = annotation.get("track_id", -1)
    if not is_id(track):
        raise UserError(f"{where}: 'track_id' must be a whole number, not {short(track, 40)}; mend it")
    return LabelledPerson(points, box, area, annotation["id"], head_size(where, annotation), track)


def points_of(where: str, annotation: dict[str, Any], joints: int) -> NDArray[np.float32]:
    """The joints (J, 3) of an annotation, all zero where it has none; `where` begins every error."""
    given = annotation.get("keypoints")
    if given is None:  # a person with only a box
        return np.zeros((joints, 3), np.float32)
    if not isinstance(given, list) or len(given) != 3 * joints:
        length = len(given) if isinstance(given, list) else "no list of"
        raise UserError(
            f"{where} has {length} numbers in 'keypoints', but {joints} joints need {3 * joints} (x, y, flag); mend it"
        )
    try:
        points = np.array(given)
    except ValueError:
        points = np.empty(0)
    if points.shape != (3 * joints,) or points.dtype.kind not in "iuf":
        raise UserError(f"{where} has something other than numbers in 'keypoints'; mend it")
    points = points.astype(np.float64).reshape(joints, 3)
    flags = points[:, 2]
    if not (np.abs(points) <= MAX_COORDINATE).all() or not ((flags == 0) | (flags == 1) | (flags == 2)).all():
        raise UserError(f"{where}: coordinates must be finite and flags 0, 1 or 2; mend its 'keypoints'")
    return points.astype(np.float32)


def box_of(where: str, annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    """Left, top, width, height of an annotation; `where` begins every error."""
    box = annotation.get("bbox")
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(_is_number(side) for side in box):
        raise UserError(f"{where} has no 'bbox' of four numbers (left, top, width, height); add it")
    left, top, wide, high = (float(side) for side in box)
    if not all(abs(side) <= MAX_COORDINATE for side in (left, top, wide, high)) or wide < 0 or high < 0:
        raise UserError(f"{where}: 'bbox' must be finite with a width and height of 0 or more; mend it")
    return left, top, wide, high


def area_of(where: str, annotation: dict[str, Any], box: tuple[float, float, float, float]) -> float:
    """The area of a person: 0.53 of the box where the annotation has none, or none above 0."""
    area = annotation.get("area")
    if area is None:
        return box[2] * box[3] * AREA_OF_BOX
    if not _is_number(area) or not 0 <= area <= MAX_COORDINATE**2:
        raise UserError(f"{where}: 'area' must be a number of 0 or more, not {short(area, 40)}; mend it")
    return float(area) or box[2] * box[3] * AREA_OF_BOX


def head_size(where: str, annotation: dict[str, Any]) -> float:
    """The size of a head by its box, 0 where none is known; `where` begins every error."""
    if annotation.get("head_box") is None:
        return 0.0
    box = numbers(where, "head_box", annotation["head_box"], 4).ravel()
    return HEAD_OF_BOX * math.hypot(box[2], box[3])


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 1e300)  # a larger one is no float
