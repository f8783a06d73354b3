"""Flip pairs: is each joint's partner its mirror image? Distances between joints know, whatever the joints are called.

A mirrored body keeps its distances: as far as the left eye is from the nose, as far is the right eye, and the left
wrist is as far from the left elbow as the right one from the right. A wrong pair breaks this for a whole dataset.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.check.finding import DataFinding, finding
from litepose_nas.data.check.tolerant_reader import PeopleTable
from litepose_nas.data.skeleton import Skeleton, side

MIN_PEOPLE = 30  # who must show a distance
MAX_PEOPLE = 20_000  # that are compared
MAX_COMPARED = 200  # whose pairs are compared; a whole body with face and hands has 133
LEAST_GAIN = 0.025  # of the logarithms of distances: right pairs match to 0.01, the most alike wrong ones miss by 0.04
_FLOOR = 0.01  # of the box: below, rounding makes logarithms wild

Mirror = tuple[int, ...]


class Distances(NamedTuple):
    """Mean logarithms of distances (J + 2, J + 2), as shares of the box, nan where hardly seen, and their errors.

    The last two rows are the distances downwards from the box's top and upwards from its bottom.
    """

    mean: NDArray[np.float64]
    error: NDArray[np.float64]


def check_pairs(split: str, skeleton: Skeleton, best: Mirror) -> list[DataFinding]:
    names = skeleton.names
    many = [f"{len(names)} joints, and pairs of up to {MAX_COMPARED} are compared"] if len(names) > MAX_COMPARED else []
    wrong = [
        f"{names[a]} with {names[b]}: {_fits(names, a, best[a])}" + (f", {_fits(names, b, best[b])}" if a != b else "")
        for a, b in enumerate(skeleton.mirror)
        if a <= b and (best[a] != b or best[b] != a)
    ]
    mispaired = {joint for joint, fit in enumerate(best) if fit != skeleton.mirror[joint]}
    return [
        *finding("many-joints", split, many),
        *finding("wrong-pair", split, wrong),
        *finding("unpaired-sides", split, _unpaired(skeleton, mispaired)),
    ]


def usual_distances(people: PeopleTable) -> Distances:
    whole = np.flatnonzero((people.boxes[:, 2:] > 0).all(1))
    whole = whole[:: max(1, -(-len(whole) // MAX_PEOPLE))]
    joints, boxes = people.joints[whole], people.boxes[whole]
    count = joints.shape[1]
    mean, error = np.full((2, count + 2, count + 2), np.nan)
    size = np.hypot(boxes[:, 2], boxes[:, 3])
    labelled = joints[..., 2] > 0
    for a in range(count):
        gaps = np.hypot(joints[:, a, None, 0] - joints[..., 0], joints[:, a, None, 1] - joints[..., 1])
        down, up = joints[:, a, 1] - boxes[:, 1], boxes[:, 1] + boxes[:, 3] - joints[:, a, 1]
        both = np.hstack([labelled, labelled[:, [a, a]]]) & labelled[:, a, None]
        logs = np.log(np.maximum(np.hstack([gaps, down[:, None], up[:, None]]) / size[:, None], _FLOOR))
        seen = np.maximum(both.sum(0), 1)
        centre = np.where(both, logs, 0).sum(0) / seen
        spread = np.where(both, (logs - centre) ** 2, 0).sum(0) / seen
        mean[a] = np.where(seen >= MIN_PEOPLE, centre, np.nan)
        error[a] = np.sqrt(spread / seen)
    mean[count:], error[count:] = mean[:, count:].T, error[:, count:].T
    np.fill_diagonal(mean, np.nan)
    return Distances(mean, error)


def fitting_mirror(people: PeopleTable, mirror: Mirror) -> Mirror:
    """The mirror that fits the people best; the given one where there are too many joints to try others."""
    return best_mirror(usual_distances(people), mirror) if len(mirror) <= MAX_COMPARED else mirror


def best_mirror(distances: Distances, mirror: Mirror) -> Mirror:
    """The mirror that keeps the distances best, changed from the given one only where that is beyond doubt."""
    best = mirror
    if not np.isfinite(distances.mean).any():
        return best
    while True:
        before = _mismatch(distances, best, range(len(best)))
        found: tuple[float, Mirror] = (0.0, best)
        for other in _changes(best):
            rows = [joint for joint, (a, b) in enumerate(zip(best, other, strict=True)) if a != b]
            after = _mismatch(distances, other, rows)
            both = np.isfinite(before[rows]) & np.isfinite(after)
            if both.sum() < len(rows):
                continue  # nothing to compare with
            gain = (before[rows] - after)[both]
            doubt = LEAST_GAIN + float(np.mean(distances.error[rows][both]))
            if gain.mean() > doubt and gain.sum() > found[0]:
                found = float(gain.sum()), other
        if found[1] == best:
            return best
        best = found[1]


def _mismatch(distances: Distances, mirror: Mirror, rows: Sequence[int]) -> NDArray[np.float64]:
    """How much each distance of some joints differs from that between the mirror images, at most 1."""
    order = np.array([*mirror, len(mirror), len(mirror) + 1])
    theirs = distances.mean[order[list(rows)]][:, order]
    return np.minimum(np.abs(distances.mean[list(rows)] - theirs), 1)


def _changes(mirror: Mirror) -> Iterator[Mirror]:
    """Yield the mirrors in which one pair is parted, or the joints of two pairs (or single joints) are paired anew."""
    groups = [(a, b) for a, b in enumerate(mirror) if a <= b and mirror[b] == a]
    for a, b in groups:
        if a != b:
            yield _with(mirror, (a, a), (b, b))
    for (a, b), (c, d) in itertools.combinations(groups, 2):
        if a == b and c == d:
            yield _with(mirror, (a, c))
        elif a == b or c == d:
            alone, (e, f) = (a, (c, d)) if a == b else (c, (a, b))
            yield _with(mirror, (alone, e), (f, f))
            yield _with(mirror, (alone, f), (e, e))
        else:
            yield _with(mirror, (a, d), (c, b))
            yield _with(mirror, (a, c), (b, d))


def _with(mirror: Mirror, *pairs: tuple[int, int]) -> Mirror:
    changed = list(mirror)
    for a, b in pairs:
        changed[a], changed[b] = b, a
    return tuple(changed)


def _fits(names: tuple[str, ...], joint: int, partner: int) -> str:
    return f"{names[joint]} fits {names[partner]}" if partner != joint else f"{names[joint]} fits no other joint"


def _unpaired(skeleton: Skeleton, mispaired: set[int]) -> list[str]:
    """Name the joints whose name has a side, but which are their own mirror images."""
    return [
        name
        for joint, name in enumerate(skeleton.names)
        if skeleton.mirror[joint] == joint and joint not in mispaired and side(name)
    ]
