"""The people of many annotations as arrays: those of plain numbers checked together, all others one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.fields import MAX_COORDINATE
from litepose_nas.data.person import AREA_OF_BOX, LabelledPerson, read_person
from litepose_nas.data.regions import IgnoredRegion
from litepose_nas.untrusted.display import short

BLOCK = 4096  # annotations that are checked together: what they take in between stays small
NUMBERS = {int, float}  # and not bool


class PersonArrays(NamedTuple):
    """The N annotations in their order; P of them are people with labelled joints, the others are regions."""

    is_person: NDArray[np.bool_]  # (N,)
    points: NDArray[np.float32]  # (P, J, 3)
    boxes: NDArray[np.float32]  # (P, 4)
    areas: NDArray[np.float32]  # (P,)
    annotation_ids: NDArray[np.int64]  # (P,)
    head_sizes: NDArray[np.float32]  # (P,): 0 where unknown
    track_ids: NDArray[np.int64]  # (P,): -1 where unknown
    regions: list[IgnoredRegion]


def read_people(path: Path, annotations: Sequence[dict[str, Any]], joints: int) -> PersonArrays:
    """Read annotations that are objects; `path`, where they come from, begins every error."""
    blocks = [annotations[first : first + BLOCK] for first in range(0, len(annotations), BLOCK)] or [[]]
    parts = [_plain(block, joints) or _one_by_one(path, block, joints) for block in blocks]
    arrays: list[Any] = [np.concatenate(of_blocks) for of_blocks in zip(*(part[:-1] for part in parts), strict=True)]
    return PersonArrays._make([*arrays, [region for part in parts for region in part.regions]])


def _plain(block: Sequence[dict[str, Any]], joints: int) -> PersonArrays | None:
    """A block in which every value is an ordinary one, as `read_person` reads it; None if any is not."""
    nothing = [0] * (3 * joints)  # a person with only a box
    given = [nothing if (one := annotation.get("keypoints")) is None else one for annotation in block]
    boxes_given: list[Any] = [annotation.get("bbox") for annotation in block]
    areas_given = [0 if (one := annotation.get("area")) is None else one for annotation in block]
    ids = [annotation.get("id") for annotation in block]
    tracks = [annotation.get("track_id", -1) for annotation in block]
    if (
        not all(type(one) is list and len(one) == 3 * joints for one in given)
        or not all(type(one) is list and len(one) == 4 for one in boxes_given)
        or not set(map(type, chain(*given, *boxes_given, areas_given))) <= NUMBERS
        or not set(map(type, chain(ids, tracks))) <= {int}
        or any(annotation.get("head_box") is not None for annotation in block)
    ):
        return None
    try:
        points = np.array(given, np.float64).reshape(-1, joints, 3)
        boxes, areas = np.array(boxes_given, np.float64).reshape(-1, 4), np.array(areas_given, np.float64)
        numbers, track_ids = np.array(ids, np.int64), np.array(tracks, np.int64)
    except OverflowError:
        return None
    flags = points[..., 2]
    if (
        not (np.abs(points) <= MAX_COORDINATE).all()  # false for NaN as well
        or not ((flags == 0) | (flags == 1) | (flags == 2)).all()
        or not (np.abs(boxes) <= MAX_COORDINATE).all()
        or not (boxes[:, 2:] >= 0).all()
        or not ((areas >= 0) & (areas <= MAX_COORDINATE**2)).all()
    ):
        return None
    crowd = np.array([bool(annotation.get("iscrowd", 0)) for annotation in block], bool)
    person = ~crowd & (flags > 0).any(1)
    areas = np.where(areas > 0, areas, boxes[:, 2] * boxes[:, 3] * AREA_OF_BOX)
    left, top, wide, high = boxes.T.tolist()
    return PersonArrays(
        person,
        points[person].astype(np.float32),
        boxes[person].astype(np.float32),
        areas[person].astype(np.float32),
        numbers[person],
        np.zeros(person.sum(), np.float32),
        track_ids[person],
        [
            IgnoredRegion(
                (left[at], top[at], wide[at], high[at]), block[at].get("segmentation") or None, bool(crowd[at])
            )
            for at in np.flatnonzero(~person).tolist()
        ],
    )


def _one_by_one(path: Path, block: Sequence[dict[str, Any]], joints: int) -> PersonArrays:
    read = [read_person(f"{path}: annotation {short(one.get('id'), 40)}", one, joints) for one in block]
    people = [one for one in read if isinstance(one, LabelledPerson)]
    count = len(people)
    return PersonArrays(
        np.array([isinstance(one, LabelledPerson) for one in read], bool),
        np.array([person.points for person in people], np.float32).reshape(count, joints, 3),
        np.array([person.box for person in people], np.float32).reshape(count, 4),
        np.array([person.area for person in people], np.float32),
        np.array([person.annotation_id for person in people], np.int64),
        np.array([person.head for person in people], np.float32),
        np.array([person.track for person in people], np.int64),
        [one for one in read if isinstance(one, IgnoredRegion)],
    )
