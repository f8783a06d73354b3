"""NME: how far joints are from their places, as a share of the distance between two joints of the same subject.

Faces are judged so, by the outer corners of the eyes. Less is better: 0.05 is good on faces of many poses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litepose_nas.metrics import oks

Floats = NDArray[np.float64]

FAILED = 0.1  # a subject whose mean is above it counts as a failure, as is usual for faces


def errors_of(labels: oks.Labels, found: oks.Detections, nme_joints: tuple[int, int]) -> Floats:
    """The errors (G, J) of all subjects who count, each as a share of the distance between its two joints.

    Each result is taken for one subject, the nearest pairs first, however far. NaN: the joint is not labelled, or the
    two joints are not, or lie on one place; infinite: the subject has no result.
    """
    counts = np.flatnonzero(~labels.ignored)
    joints, image = labels.joints[counts], labels.image[counts]
    present = joints[:, :, 2] > 0
    pixels = np.full(present.shape, np.inf)
    for place in np.unique(image):
        subjects, results = np.flatnonzero(image == place), np.flatnonzero(found.image == place)
        gaps = np.linalg.norm(found.joints[results][None] - joints[subjects][:, None, :, :2], axis=3)
        for subject, result in _nearest_first(np.nanmean(np.where(present[subjects][:, None], gaps, np.nan), axis=2)):
            pixels[subjects[subject]] = gaps[subject, result]
    one, other = (joints[:, joint] for joint in nme_joints)
    sizes = np.linalg.norm(one[:, :2] - other[:, :2], axis=1)
    sizes[(one[:, 2] == 0) | (other[:, 2] == 0) | (sizes == 0)] = np.nan
    return np.where(present, pixels / sizes[:, None], np.nan)


def of_subjects(errors: Floats) -> Floats:
    """The mean over the labelled joints of each subject that can be measured (N,); infinite without a result."""
    measured = errors[~np.isnan(errors).all(axis=1)]
    return np.asarray(np.nanmean(measured, axis=1)) if len(measured) else np.zeros(0)


def nme(errors: Floats) -> float:
    """The mean over the subjects that have a result, each of which counts once; NaN where none does."""
    each = of_subjects(errors)
    found = each[np.isfinite(each)]
    return float(found.mean()) if len(found) else float("nan")


def of_joints(errors: Floats) -> Floats:
    """The mean of each joint over the subjects that have a result; NaN where none does."""
    seen = np.isfinite(errors)
    return np.asarray(oks.ratio(np.where(seen, errors, 0.0).sum(axis=0), seen.sum(axis=0)))


def failures(errors: Floats) -> float:
    """The share of the subjects whose mean is above a tenth, those without a result among them."""
    each = of_subjects(errors)
    return float((each > FAILED).mean()) if len(each) else float("nan")


def _nearest_first(gaps: Floats) -> list[tuple[int, int]]:
    """Pairs of a subject and a result by their distances (G, N), the smallest first, each taken once."""
    pairs: list[tuple[int, int]] = []
    for flat in np.argsort(gaps, axis=None, kind="stable"):
        subject, result = divmod(int(flat), gaps.shape[1])
        if all(subject != taken and result != used for taken, used in pairs):
            pairs.append((subject, result))
    return pairs
