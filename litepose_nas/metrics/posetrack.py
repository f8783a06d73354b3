"""PoseTrack18's average precision of each joint, as its evaluation defines it.

In a frame, predictions and people are paired by the share of joints within half a head's size (PCKh); the joints of a
prediction are then right or wrong as that person's, each ranked by its own score among those of all frames. What lies
in an ignore region is left out on both sides, and a frame without annotated people altogether.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.annotations import keypoint_category
from litepose_nas.data.dataset import Document
from litepose_nas.data.person import head_size
from litepose_nas.errors import UserError
from litepose_nas.metrics.results import Result, check_image

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
PARTS = {"head": ("nose", "head_bottom", "head_top"), **{part: (f"left_{part}", f"right_{part}") for part in LIMBS}}
JOINTS = tuple(joint for joints in PARTS.values() for joint in joints)
REACH = 0.5  # of a head's size


class PoseTrackFrame(NamedTuple):
    """The labelled people of a frame and what was found in it, with nothing left that is to be ignored."""

    joints: Floats  # (G, J, 2)
    present: Flags  # (G, J)
    heads: Floats  # (G,): head sizes in pixels
    found: Floats  # (P, J, 2)
    claimed: Flags  # (P, J): which joints the predictions have
    scores: Floats  # (P, J)


class PoseTrackScores(NamedTuple):
    """PoseTrack's row in percent, NaN where no person has the joint, and the AP of each of the fifteen joints."""

    head: float
    shoulder: float
    elbow: float
    wrist: float
    hip: float
    knee: float
    ankle: float
    total: float
    joints: dict[str, float]


def posetrack_ap(frames: Iterable[PoseTrackFrame]) -> PoseTrackScores:
    """The AP of each part and the mean over the joints, not over the parts."""
    scores: list[list[Floats]] = [[] for _ in JOINTS]
    labels: list[list[Flags]] = [[] for _ in JOINTS]
    people = np.zeros(len(JOINTS), np.int64)
    for frame in frames:
        right = right_joints(frame)
        people += frame.present.sum(axis=0)
        for joint in range(len(JOINTS)):
            claimed = frame.claimed[:, joint]
            scores[joint].append(frame.scores[claimed, joint])
            labels[joint].append(right[claimed, joint])
    aps = {
        name: 100
        * joint_ap(
            np.concatenate(scores[j] or [np.zeros(0)]), np.concatenate(labels[j] or [np.zeros(0, bool)]), people[j]
        )
        for j, name in enumerate(JOINTS)
    }
    parts = {part: _mean_of_known([aps[name] for name in names]) for part, names in PARTS.items()}
    return PoseTrackScores(**parts, total=_mean_of_known(list(aps.values())), joints=aps)


def right_joints(frame: PoseTrackFrame) -> Flags:
    """Which joints of the predictions (P, J) are right for the person that each prediction was matched to."""
    predictions, people = len(frame.found), len(frame.joints)
    right = np.zeros((predictions, len(JOINTS)), bool)
    if not predictions or not people:
        return right
    gap = np.linalg.norm(frame.found[:, None] - frame.joints, axis=3)
    sizes = np.where(frame.heads > 0, frame.heads, np.nan)[:, None]  # without a head nothing is near
    near = frame.claimed[:, None] & frame.present & (gap / sizes <= REACH)
    share = near.sum(axis=2) / np.maximum(frame.present.sum(axis=1), 1)
    best = share.argmax(axis=1)
    mine = np.zeros_like(share)
    rows = np.arange(predictions)
    mine[rows, best] = share[rows, best]
    winner = mine.argmax(axis=0)
    for person in np.flatnonzero(mine.max(axis=0) > 0):
        right[winner[person]] = near[winner[person], person]
    return right


def joint_ap(scores: Floats, right: NDArray[Any], people: int) -> float:
    """The area under the precision that is reached at each recall or beyond; NaN where no person has the joint.

    Of equal scores the later counts first, as in the reversed order of a stable sort.
    """
    if not people:
        return float("nan")
    hits = np.cumsum(right[np.argsort(scores, kind="stable")[::-1]].astype(float))
    precision = hits / np.arange(1, len(hits) + 1)
    reached = np.maximum.accumulate(precision[::-1])[::-1]
    gain = np.diff(hits / people, prepend=0.0)
    return float((gain * reached).sum())


def frames_of(document: Document, path: Path, results: Sequence[Result]) -> list[PoseTrackFrame]:
    """The frames of a document in which people were annotated, with the results that are theirs.

    A joint's score is that of the result's `scores`, or the third number of the joint where there are none. A joint at
    0, 0 with a third number of 0 was not found.
    """
    category = keypoint_category(path, document["categories"])
    names = [str(name) for name in category["keypoints"]]
    absent = [name for name in JOINTS if name not in names]
    if absent:
        raise UserError(f"{path} has no joint {absent[0]!r}, which PoseTrack18 has; choose the metric of this dataset")
    kept = [names.index(name) for name in JOINTS]
    people, found = defaultdict(list), defaultdict(list)
    for raw in document["annotations"]:
        if raw.get("category_id") == category.get("id"):  # nobody has looked at the others
            people[raw["image_id"]].append(raw)
    listed = {image["id"] for image in document["images"]}
    for number, result in enumerate(results):
        check_image(result.get("image_id"), listed)
        found[result["image_id"]].append((number, result))
    frames = []
    for image in document["images"]:
        if not people[image["id"]]:
            continue
        truth = [_person(path, raw, len(names), kept) for raw in people[image["id"]]]
        mine = [_prediction(number, raw, len(names), kept) for number, raw in found[image["id"]]]
        regions = [np.array(region, float).reshape(-1, 2) for region in image.get("ignore_regions") or []]
        frames.append(_without_ignored(truth, mine, regions))
    return frames


def inside(points: Floats, polygon: Floats) -> Flags:
    """Which points (N, 2) lie within a polygon, not on its edge; of a hole of its own making they do not."""
    if len(polygon) < 3:
        return np.zeros(len(points), bool)
    x, y = points[:, :1], points[:, 1:]
    (ax, ay), (bx, by) = polygon.T, np.roll(polygon, -1, axis=0).T
    cross = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
    within = (
        (np.minimum(ax, bx) <= x) & (x <= np.maximum(ax, bx)) & (np.minimum(ay, by) <= y) & (y <= np.maximum(ay, by))
    )
    on_edge = (cross == 0) & within
    # An edge that a ray to the right crosses: it passes the point's height, and the point is on its left.
    passes = (ay > y) != (by > y)
    crossed = passes & ((cross > 0) == (by > ay))
    return (crossed.sum(axis=1) % 2 == 1) & ~on_edge.any(axis=1)


def _person(path: Path, raw: dict[str, Any], joints: int, kept: list[int]) -> tuple[Floats, Flags, float]:
    where = f"{path}: annotation {raw.get('id')}"
    points = _points(where, raw.get("keypoints"), joints)[kept]
    present = (points != 0).any(axis=1)
    if raw.get("head_box") is None and present.any():
        raise UserError(f"{where} has no head box, which joints are measured with; give PoseTrack18's own annotations")
    return points[:, :2], present, head_size(where, raw)


def _prediction(number: int, raw: Result, joints: int, kept: list[int]) -> tuple[Floats, Flags, Floats]:
    where = f"result {number}, for image {raw['image_id']}"
    points = _points(where, raw.get("keypoints"), joints)
    scores = points[:, 2]
    if raw.get("scores"):
        try:
            scores = np.array(raw["scores"], float).reshape(joints)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{where}: its 'scores' are not {joints} numbers, one a joint; mend it") from error
    if not np.isfinite(scores).all():
        raise UserError(f"{where} has a NaN or an infinity among its scores; mend it")
    return points[kept, :2], (points[kept] != 0).any(axis=1), scores[kept]


def _points(where: str, numbers: Any, joints: int) -> Floats:
    try:
        points = np.array(numbers, float).reshape(joints, 3)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: its 'keypoints' are not {joints} times x, y and a third number; mend it") from error
    if not np.isfinite(points).all():
        raise UserError(f"{where} has a NaN or an infinity in 'keypoints'; mend it")
    return points


def _without_ignored(
    truth: list[tuple[Floats, Flags, float]], found: list[tuple[Floats, Flags, Floats]], regions: list[Floats]
) -> PoseTrackFrame:
    def seen(points: Floats, there: Flags) -> Flags:
        for region in regions:
            there = there & ~inside(points.reshape(-1, 2), region).reshape(there.shape)
        return there

    joints = np.array([points for points, _, _ in truth]).reshape(-1, len(JOINTS), 2)
    present = seen(joints, np.array([there for _, there, _ in truth], bool).reshape(-1, len(JOINTS)))
    heads = np.array([head for _, _, head in truth], float)
    places = np.array([points for points, _, _ in found]).reshape(-1, len(JOINTS), 2)
    claimed = seen(places, np.array([there for _, there, _ in found], bool).reshape(-1, len(JOINTS)))
    scores = np.array([score for _, _, score in found], float).reshape(-1, len(JOINTS))
    people, predictions = present.any(axis=1), claimed.any(axis=1)
    return PoseTrackFrame(
        joints[people], present[people], heads[people], places[predictions], claimed[predictions], scores[predictions]
    )


def _mean_of_known(values: list[float]) -> float:
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")
