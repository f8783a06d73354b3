"""Two detections of one person: object keypoint similarity, and the suppression of the less sure one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def oks(one: Floats, others: Floats, area: float, areas: Floats, sigmas: Floats) -> Floats:
    """(P,): the similarity of a person (J, 2) to others (P, J, 2), all joints counting, areas averaged."""
    square = ((others - one) ** 2).sum(-1)
    spread = (2 * sigmas) ** 2 * 2 * np.maximum((area + areas) / 2, np.finfo(float).eps)[:, None]
    return np.exp(-square / spread).mean(-1)


def oks_nms(
    keypoints: Floats, scores: NDArray[np.float32], areas: Floats, sigmas: Floats, threshold: float
) -> NDArray[np.int64]:
    """Who stays of people (P, J, 2), the surest first: nobody more similar to a surer one than the threshold."""
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(first)
        alike = oks(keypoints[first], keypoints[rest], float(areas[first]), areas[rest], sigmas)
        left = rest[alike <= threshold]
    return np.array(kept, np.int64)
