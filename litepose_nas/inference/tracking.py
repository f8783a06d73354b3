"""Who is who from frame to frame: the most similar pairs of poses first, and a little patience with the lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST = 0.2  # similarity below which two poses are not one person's
PATIENCE = 6  # frames in which somebody may be lost and keep the number
COMMON = 3  # joints that two poses must share to be compared by them


class Tracked(NamedTuple):
    track: int
    keypoints: Floats  # (J, 3) when last seen: x, y, value; a value of 0 is a joint that was not found
    lost: int = 0  # frames since


class Tracks(NamedTuple):
    """All that is remembered from one frame to the next."""

    people: tuple[Tracked, ...] = ()
    next_track: int = 0


def follow(
    tracks: Tracks, poses: Floats, sigmas: Sequence[float], least: float = LEAST, patience: int = PATIENCE
) -> tuple[tuple[int, ...], Tracks]:
    """The number of each pose (P, J, 3) of a new frame, and what to remember for the next."""
    pairs = greedy_pairs(similarities(poses, [one.keypoints for one in tracks.people], sigmas), least)
    known = {pose: tracks.people[person].track for pose, person in pairs}
    numbers, free = [], tracks.next_track
    for pose in range(len(poses)):
        numbers.append(known.get(pose, free))
        free += pose not in known
    found = {person for _, person in pairs}
    lost = [one._replace(lost=one.lost + 1) for place, one in enumerate(tracks.people) if place not in found]
    seen = [Tracked(number, pose) for number, pose in zip(numbers, poses, strict=True)]
    return tuple(numbers), Tracks((*seen, *(one for one in lost if one.lost <= patience)), free)


def greedy_pairs(similar: Floats, least: float) -> list[tuple[int, int]]:
    """Pairs (row, column), the most similar first, each row and column once and none below `least`.

    Of equal ones the first row goes first, and in it the first column.
    """
    order = np.argsort(-similar, axis=None, kind="stable")
    pairs: list[tuple[int, int]] = []
    rows, columns = set(), set()
    for row, column in zip(*np.unravel_index(order, similar.shape), strict=True):
        if similar[row, column] < least:
            break
        if row not in rows and column not in columns:
            pairs.append((int(row), int(column)))
            rows.add(row)
            columns.add(column)
    return pairs


def similarities(poses: Sequence[Floats] | Floats, others: Sequence[Floats], sigmas: Sequence[float]) -> Floats:
    """How similar poses are (P, Q): the mean of the overlap of their boxes and that of their joints.

    Boxes tell people apart who move fast, joints those who stand before each other.
    """
    return np.array(
        [[similarity(one, other, sigmas) for other in others] for one in poses], float
    ).reshape(len(poses), len(others))  # fmt: skip


def similarity(one: Floats, other: Floats, sigmas: Sequence[float]) -> float:
    """The mean of box overlap and object keypoint similarity of two poses; 0 where one has no joint."""
    mine, theirs = _box(one), _box(other)
    if mine is None or theirs is None:
        return 0.0
    low, high = np.maximum(mine[0], theirs[0]), np.minimum(mine[1], theirs[1])
    common = float(np.prod(np.maximum(high - low, 0)))
    areas = [float(np.prod(box[1] - box[0])) for box in (mine, theirs)]
    overlap = common / (sum(areas) - common)
    both = (one[:, 2] > 0) & (other[:, 2] > 0)
    if both.sum() < COMMON:
        return overlap
    square = ((one[both, :2] - other[both, :2]) ** 2).sum(1)
    spread = (2 * np.asarray(sigmas)[both]) ** 2 * 2 * (sum(areas) / 2)
    return (overlap + float(np.exp(-square / spread).mean())) / 2


def _box(pose: Floats) -> tuple[Floats, Floats] | None:
    """The corners of the box around the joints that were found, a pixel wide at least."""
    points = pose[pose[:, 2] > 0, :2]
    if not len(points):
        return None
    low, high = points.min(0), points.max(0)
    return low, np.maximum(high, low + 1)
