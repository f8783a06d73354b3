"""How far people moved from what one network found to what another did in the same pictures, joint by joint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.metrics.results import Result

LEAST_SCORE = 0.1  # people below it are left out, as `predict` does
FAR = 0.25  # of the longer side around a person's joints: whose joints moved further on average is another person


class PictureShift(NamedTuple):
    image_id: int
    pixels: NDArray[np.float64]  # of the joints of the people whom both found
    missing: int  # people whom only the first network found
    extra: int  # people whom only the second one found

    @property
    def badness(self) -> tuple[int, float]:
        return self.missing + self.extra, float(self.pixels.max(initial=0.0))


class Shifts(NamedTuple):
    """Over all pictures; pixels are those of the pictures, NaN where both found nobody."""

    people: int  # whom the first network found
    median_px: float
    p95_px: float
    missing: int
    extra: int
    worst: int | None  # the id of the picture with most people missing or extra, and of those the largest shift


def shifts_between(before: Sequence[Result], after: Sequence[Result]) -> Shifts:
    first, second = _by_image(before), _by_image(after)
    each = [shift_in(image, first.get(image, []), second.get(image, [])) for image in sorted({*first, *second})]
    pixels = np.concatenate([one.pixels for one in each]) if each else np.zeros(0)
    median, p95 = np.percentile(pixels, (50, 95)) if len(pixels) else (np.nan, np.nan)
    worst = max(each, key=lambda one: one.badness).image_id if each else None
    missing, extra = sum(one.missing for one in each), sum(one.extra for one in each)
    return Shifts(sum(map(len, first.values())), float(median), float(p95), missing, extra, worst)


def shift_in(image_id: int, before: Sequence[Result], after: Sequence[Result]) -> PictureShift:
    """People are paired by how far their joints are apart on average, the nearest pair first."""
    pairs = []
    for i, one in enumerate(before):
        for j, other in enumerate(after):
            gaps, size = _gaps(one, other)
            if len(gaps) and gaps.mean() <= FAR * size:
                pairs.append((float(gaps.mean()), i, j, gaps))
    taken: list[NDArray[np.float64]] = []
    mine, others = set(range(len(before))), set(range(len(after)))
    for _, i, j, gaps in sorted(pairs, key=lambda pair: pair[:3]):
        if i in mine and j in others:
            mine.remove(i)
            others.remove(j)
            taken.append(gaps)
    return PictureShift(image_id, np.concatenate([np.zeros(0), *taken]), len(mine), len(others))


def _gaps(one: Result, other: Result) -> tuple[NDArray[np.float64], float]:
    """How far the joints that both have are apart, and the longer side around those of the first."""
    here, there = (np.reshape(result["keypoints"], (-1, 3)) for result in (one, other))
    found = here[:, 2] > 0
    both = found & (there[:, 2] > 0)
    size = np.ptp(here[found, :2], axis=0).max() if found.any() else 0.0
    return np.linalg.norm(here[both, :2] - there[both, :2], axis=1), float(max(size, 1.0))


def _by_image(results: Sequence[Result]) -> dict[int, list[Result]]:
    found: dict[int, list[Result]] = {}
    for result in results:
        if result["score"] >= LEAST_SCORE:
            found.setdefault(result["image_id"], []).append(result)
    return found
