"""PCK and pixel errors for any skeleton: the share of joints within a part of the person's size, and how far off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.errors import UserError
from litepose_nas.metrics import oks

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MIN_SIMILARITY = 0.1  # similarity at which a result may be a person at all
TORSO = ("left_shoulder", "right_hip")


class Errors(NamedTuple):
    """How far the joints of labelled people were found from their places."""

    pixels: Floats  # (G, J): infinite for people who were not found
    present: Flags  # (G, J)
    boxes: Floats  # (G,): the longer side of each one's box
    torsos: Floats  # (G,): from left shoulder to right hip; NaN where one of them is not labelled


def errors_of(labels: oks.Labels, found: oks.Detections, names: Sequence[str]) -> Errors:
    """The errors of all people who count: each result is taken for one person, the most similar pairs first."""
    counts = np.flatnonzero(~labels.ignored)
    labels = labels._replace(
        **{field: getattr(labels, field)[counts] for field in ("image", "joints", "boxes", "areas", "crowd", "ignored")}
    )
    person, result = _pairs(labels, found)
    present = labels.joints[:, :, 2] > 0
    pixels = np.full(present.shape, np.inf)
    pixels[person] = np.linalg.norm(found.joints[result] - labels.joints[person, :, :2], axis=2)
    torsos = np.full(len(labels.image), np.nan)
    if set(TORSO) <= set(names):
        left, right = (list(names).index(name) for name in TORSO)
        both = present[:, left] & present[:, right]
        ends = labels.joints[both]
        torsos[both] = np.linalg.norm(ends[:, left, :2] - ends[:, right, :2], axis=1)
    return Errors(pixels, present, labels.boxes[:, 2:].max(axis=1, initial=0), torsos)


def pck(errors: Errors, share: float, size: str = "box") -> Floats:
    """For each joint the share of people who have it within `share` of their box or torso; NaN where none do.

    People without a torso to measure with are left out of that one; joints of people who were not found are wrong.
    """
    right, measured = _within(errors, share, size)
    return oks.ratio(right.sum(axis=0), measured.sum(axis=0))


def mean_pck(errors: Errors, share: float, size: str = "box") -> float:
    """The share of all labelled joints that are within `share` of the size."""
    right, measured = _within(errors, share, size)
    return float(oks.ratio(right.sum(), measured.sum()))


def _within(errors: Errors, share: float, size: str) -> tuple[Flags, Flags]:
    """Which joints (G, J) are near enough, and which can be measured."""
    if size not in ("box", "torso"):
        raise UserError(f"a person's size is that of the box or of the torso, not {size!r}")
    sizes = (errors.boxes if size == "box" else errors.torsos)[:, None]
    measured = errors.present & (sizes > 0)
    return measured & (errors.pixels <= share * sizes), measured


def median_error(errors: Errors) -> tuple[float, Floats]:
    """The median error in pixels over the labelled joints of the people who were found, and of each joint."""
    seen = errors.present & np.isfinite(errors.pixels)
    each = [_median(errors.pixels[seen[:, joint], joint]) for joint in range(seen.shape[1])]
    return _median(errors.pixels[seen]), np.array(each)


def people_found(errors: Errors) -> int:
    return int(np.isfinite(errors.pixels).all(axis=1).sum())


def _pairs(labels: oks.Labels, found: oks.Detections) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """People and the results that are taken for them, greedily by similarity."""
    result, person, similar = oks.close_pairs(labels, found, MIN_SIMILARITY)
    free_people, free_results = np.ones(len(labels.image), bool), np.ones(len(found.image), bool)
    chosen = []
    for pair in np.argsort(-similar, kind="stable"):
        who, what = person[pair], result[pair]
        if free_people[who] and free_results[what]:
            free_people[who] = free_results[what] = False
            chosen.append(pair)
    return person[chosen], result[chosen]


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")
