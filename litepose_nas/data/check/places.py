"""Where boxes and joints lie: outside the picture, far from each other, at the origin, or twice at one place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.check.finding import NOTE, WARNING, DataFinding, finding
from litepose_nas.data.check.tolerant_reader import CheckedSplit

SLACK = 2.0  # pixels beyond an edge that rounding and different conventions explain
OFF_BOX = 0.25  # of the box's longer side; limbs behind the picture's edge and loose boxes stay below, mostly
HABIT_SHARE = 0.2  # the share of people from which on a habit becomes a fault

Flags = NDArray[np.bool_]


def check_places(split: CheckedSplit) -> list[DataFinding]:
    people, name = split.people, split.name
    if not people.names:
        return []
    sizes = np.array([(p.width, p.height) for p in split.pictures] or [(0, 0)], np.float64)[people.picture]
    known = people.picture >= 0
    low, size = people.boxes[:, :2], people.boxes[:, 2:]
    high = low + size
    x, y, labelled = people.joints[..., 0], people.joints[..., 1], people.joints[..., 2] > 0

    empty = np.asarray((size <= 0).any(1))
    outside = known & np.asarray(((high <= 0) | (low >= sizes)).any(1))
    over = known & ~outside & np.asarray(((low < -SLACK) | (high > sizes + SLACK)).any(1))
    # COCO calls the middle of the first pixel 0.
    beyond = labelled & known[:, None]
    beyond &= (x < -1) | (y < -1) | (x > sizes[:, :1]) | (y > sizes[:, 1:])
    gap = np.maximum(np.maximum(low[:, :1] - x, x - high[:, :1]), np.maximum(low[:, 1:] - y, y - high[:, 1:]))
    off = labelled & ~empty[:, None] & (gap > OFF_BOX * np.maximum(size.max(1, keepdims=True), 1))
    origin = labelled & (x == 0) & (y == 0)
    large = ~empty & (people.areas > 1.1 * size.prod(1) + 1)
    habit = off.any(1).mean() > HABIT_SHARE
    return [
        *_of_people(split, "zero-box", empty),
        *_of_people(split, "box-outside", outside),
        *_of_people(split, "box-over-edge", over),
        *_of_joints(split, "point-outside", beyond),
        *_of_joints(split, "point-off-box", off, WARNING if habit else NOTE),
        *_of_joints(split, "point-at-origin", origin),
        *_of_people(split, "large-area", large),
        *finding("person-twice", name, *_twins(split)),
    ]


def _of_people(split: CheckedSplit, code: str, which: Flags) -> list[DataFinding]:
    places = np.flatnonzero(which)
    boxes = (
        f"{split.people.names[i]}: box {', '.join(f'{v:g}' for v in split.people.boxes[i])}, "
        f"area {split.people.areas[i]:g}"
        for i in places
    )
    return finding(code, split.name, boxes, people=places.tolist())


def _of_joints(split: CheckedSplit, code: str, which: Flags, severity: str | None = None) -> list[DataFinding]:
    places = np.flatnonzero(which.any(1))
    joints = split.skeleton.names if split.skeleton else tuple(map(str, range(which.shape[1])))
    names = (
        f"{split.people.names[i]}: {joints[j]} at {split.people.joints[i, j, 0]:g}, {split.people.joints[i, j, 1]:g}"
        + (f" and {more} more" if (more := int(which[i].sum()) - 1) else "")
        for i, j in zip(places, which[places].argmax(1), strict=True)
    )
    return finding(code, split.name, names, severity, places.tolist())


def _twins(split: CheckedSplit) -> tuple[list[str]]:
    seen: dict[tuple[int, bytes], str] = {}
    twins = []
    for name, picture, joints in zip(split.people.names, split.people.picture, split.people.joints, strict=True):
        key = int(picture), joints.tobytes()
        if key in seen:
            twins.append(f"{name}, like {seen[key]}")
        else:
            seen[key] = name
    return (twins,)
