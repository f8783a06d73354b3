"""One figure of a dataset in points, and how far two networks are apart in it, with an interval over the pictures.

Both networks are judged on the same pictures, and the bootstrap draws the same pictures for both: what makes a picture
hard for both of them does not count as a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.dataset import Dataset
from litepose_nas.errors import UserError, nearest
from litepose_nas.metrics import coco, nme, pck
from litepose_nas.metrics.coco import Truth
from litepose_nas.metrics.results import Result

Floats = NDArray[np.float64]

DRAWS = 500  # of the bootstrap
MIDDLE = (2.5, 97.5)  # percentiles of the interval
SHARE = 0.1  # of the box, within which a joint counts as found in the PCK


class PairedFigure(Protocol):
    """What networks are judged by; a point is a hundredth of the metric."""

    @property
    def name(self) -> str: ...

    @property
    def more_is_better(self) -> bool: ...

    def points(self, results: Sequence[Result]) -> float: ...

    def samples(self, results: Sequence[Result], draws: int) -> Floats:
        """The points on pictures drawn again with replacement; the same pictures for all results."""


class Loss(NamedTuple):
    """What is lost from one network to another, in points: below zero it is a gain."""

    points: float
    low: float  # the middle 95 % of the bootstrap
    high: float


class AveragePrecision:
    """COCO's AP."""

    name, more_is_better = "AP", True

    def __init__(self, truth: Truth):
        self._truth = truth

    def points(self, results: Sequence[Result]) -> float:
        return 100 * coco.fast_ap(self._truth, results)

    def samples(self, results: Sequence[Result], draws: int) -> Floats:
        return 100 * coco.bootstrap_ap(self._truth, results, draws)


class NormalisedError:
    """The NME, of which less is better; a subject without a result counts as one whose error is that of its size."""

    name, more_is_better = "NME", False
    not_found = 1.0

    def __init__(self, truth: Truth, joints: tuple[int, int]):
        self._truth, self._joints, self._labels = truth, joints, coco.labels_of(truth)

    def points(self, results: Sequence[Result]) -> float:
        return _points(*self.sums(results))

    def samples(self, results: Sequence[Result], draws: int) -> Floats:
        return 100 * _ratios(*self.sums(results), draws)

    def sums(self, results: Sequence[Result]) -> tuple[Floats, Floats]:
        """The errors of the subjects of each picture added up, and how many subjects they are."""
        errors = nme.errors_of(self._labels, coco.found_of(self._truth, results), self._joints)
        measured = ~np.isnan(errors).all(axis=1)
        each = np.nanmean(errors[measured], axis=1) if measured.any() else np.zeros(0)
        image = self._labels.image[~self._labels.ignored][measured]
        each = np.where(np.isfinite(each), each, self.not_found)
        return _per_image(image, each, self._labels.images), _per_image(image, each >= 0, self._labels.images)


class CorrectKeypoints:
    """The share of all labelled joints within a tenth of the longer side of the box."""

    name, more_is_better = f"PCK@{SHARE:g}", True

    def __init__(self, truth: Truth, names: Sequence[str]):
        self._truth, self._names, self._labels = truth, names, coco.labels_of(truth)

    def points(self, results: Sequence[Result]) -> float:
        return _points(*self.sums(results))

    def samples(self, results: Sequence[Result], draws: int) -> Floats:
        return 100 * _ratios(*self.sums(results), draws)

    def sums(self, results: Sequence[Result]) -> tuple[Floats, Floats]:
        errors = pck.errors_of(self._labels, coco.found_of(self._truth, results), self._names)
        right = errors.present & (errors.pixels <= SHARE * errors.boxes[:, None])
        image = self._labels.image[~self._labels.ignored]
        images = self._labels.images
        return _per_image(image, right.sum(axis=1), images), _per_image(image, errors.present.sum(axis=1), images)


FIGURES = ("ap", "nme", "pck")


def figure_of(dataset: Dataset, name: str | None = None) -> PairedFigure:
    """The figure of this name; the NME where the data say between which joints it measures, else the AP."""
    truth, skeleton = coco.read_truth(dataset), dataset.skeleton
    if coco.labels_of(truth).ignored.all():
        raise UserError(f"{dataset.annotations}: nobody is labelled in these pictures, so there is nothing to judge by")
    name = name or ("nme" if skeleton.nme_joints else "ap")
    if name == "nme" and skeleton.nme_joints is None:
        raise UserError(
            f"--metric nme: {dataset.annotations} is of data that do not say between which two joints a subject is "
            "measured; add `nme_joints` to the dataset's YAML, or choose pck"
        )
    if name == "nme":
        assert skeleton.nme_joints is not None
        return _measured(NormalisedError(truth, skeleton.nme_joints), dataset)
    if name == "pck":
        return _measured(CorrectKeypoints(truth, skeleton.names), dataset)
    if name != "ap":
        raise UserError(f"--metric: {name!r} is not one; {nearest(name, FIGURES)}")
    return AveragePrecision(truth)


def _measured(figure: NormalisedError | CorrectKeypoints, dataset: Dataset) -> PairedFigure:
    _, counts = figure.sums([])
    if not counts.any():
        raise UserError(
            f"{dataset.annotations}: nobody in these pictures has the joints labelled that the {figure.name} needs; "
            "give other pictures, or choose another --metric"
        )
    return figure


def loss_between(figure: PairedFigure, before: Sequence[Result], after: Sequence[Result], draws: int = DRAWS) -> Loss:
    sign = 1 if figure.more_is_better else -1
    apart = sign * (figure.samples(before, draws) - figure.samples(after, draws))
    low, high = np.percentile(apart[np.isfinite(apart)], MIDDLE) if np.isfinite(apart).any() else (np.nan, np.nan)
    return Loss(points_lost(figure, before, after), float(low), float(high))


def points_lost(figure: PairedFigure, before: Sequence[Result], after: Sequence[Result]) -> float:
    return (1 if figure.more_is_better else -1) * (figure.points(before) - figure.points(after))


def _per_image(image: NDArray[np.int64], values: NDArray[np.generic], images: int) -> Floats:
    return np.bincount(image, weights=np.asarray(values, float), minlength=images).astype(np.float64)


def _points(parts: Floats, counts: Floats) -> float:
    return float(100 * parts.sum() / counts.sum())


def _ratios(parts: Floats, wholes: Floats, draws: int, seed: int = 0) -> Floats:
    """The ratio of the sums over pictures drawn again; NaN where a draw holds nobody."""
    rng, found = np.random.default_rng(seed), np.full(draws, np.nan)
    for turn in range(draws):
        drawn = rng.integers(len(parts), size=len(parts))
        if whole := wholes[drawn].sum():
            found[turn] = parts[drawn].sum() / whole
    return found
