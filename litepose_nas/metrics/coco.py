"""COCO's keypoint figures, judged by pycocotools, which has the last word on every AP that is printed."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from litepose_nas.data.annotations import document_of, keypoint_category
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.person import AREA_OF_BOX, area_of, box_of, points_of
from litepose_nas.errors import UserError
from litepose_nas.metrics import oks
from litepose_nas.metrics.results import Result, ResultTable, for_pycocotools, tabulate


class Scores(NamedTuple):
    """COCO's ten numbers, in its order; -1 where no person counts."""

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_medium: float
    ar_large: float


class Truth(NamedTuple):
    """What predictions are compared with: the labelled people of some pictures of an annotation file."""

    coco: COCO
    image_ids: tuple[int, ...]
    category_id: int
    sigmas: tuple[float, ...]
    filled: int = 0  # people whose area was missing or nothing, and is now a share of their box


def read_truth(dataset: Dataset) -> Truth:
    """The truth of a dataset's pictures, those it still has after a split.

    An area that is missing or not positive becomes 0.53 of the box; all people are numbered anew, since pycocotools
    loses number 0.
    """
    ids = [record.image_id for record in dataset.records]
    return truth_of(document_of(dataset), dataset.annotations, dataset.skeleton.sigmas, ids)


def truth_of(
    document: dict[str, Any],
    path: Path,
    sigmas: Sequence[float],
    image_ids: Collection[int] | None = None,
    box_areas: bool = False,
) -> Truth:
    """The truth of a document that was read from a path, with given sigmas.

    With `box_areas` every area is 0.53 of the box, whatever the document says.
    """
    category = keypoint_category(path, document["categories"])
    if len(sigmas) != len(category["keypoints"]):
        raise UserError(
            f"{path}: {len(category['keypoints'])} joints a person, but {len(sigmas)} sigmas; "
            "give one for each joint, or choose the metric of this dataset"
        )
    ids = _image_ids(path, document["images"]) if image_ids is None else tuple(image_ids)
    kept = set(ids)
    people = [
        annotation
        for annotation in document["annotations"]
        if annotation.get("category_id") == category["id"] and annotation.get("image_id") in kept
    ]
    made = [_annotation(path, raw, number, len(sigmas), box_areas) for number, raw in enumerate(people, 1)]
    index = COCO()
    index.dataset = {
        "images": [{"id": image["id"]} for image in document["images"]],
        "categories": [category],
        "annotations": [annotation for annotation, _ in made],
    }
    with quiet():
        index.createIndex()
    return Truth(index, ids, category["id"], tuple(sigmas), sum(filled for _, filled in made))


def coco_ap(truth: Truth, results: Sequence[Result]) -> Scores:
    """The ten numbers of results against a truth; results of other pictures do not count."""
    judge = judged(truth, results)
    with quiet():
        judge.accumulate()
        judge.summarize()
    return Scores(*(float(value) for value in judge.stats))


def fast_ap(truth: Truth, results: Sequence[Result]) -> float:
    """Only the AP, several times as fast; equal to that of pycocotools, which judges what is printed."""
    return oks.average_precision(labels_of(truth), found_of(truth, results))


def ten_lines(scores: Scores) -> str:
    kinds = [(title, short) for title, short in (("Average Precision", "(AP)"), ("Average Recall", "(AR)"))]
    columns = [("0.50:0.95", "all"), ("0.50", "all"), ("0.75", "all"), ("0.50:0.95", "medium"), ("0.50:0.95", "large")]
    rows = [(*kind, *column) for kind in kinds for column in columns]
    return "\n".join(
        f" {title:<18} {short} @[ IoU={oks:<9} | area={area:>6} | maxDets= 20 ] = {score:0.3f}"
        for (title, short, oks, area), score in zip(rows, scores, strict=True)
    )


def bootstrap_ap(truth: Truth, results: Sequence[Result], resamples: int = 200, seed: int = 0) -> NDArray[np.float64]:
    """The APs of pictures drawn again with replacement: how far others of the same kind would have moved it.

    Two networks judged with the same seed and pictures meet the same draws: subtract their APs to compare them.
    """
    matches = oks.match(labels_of(truth), found_of(truth, results))
    count = len(truth.image_ids)
    rng = np.random.default_rng(seed)
    samples = np.empty(resamples)
    for turn in range(resamples):
        samples[turn] = oks.known_mean(oks.precisions(matches, rng.integers(count, size=count)))
    return samples


def judged(truth: Truth, results: Sequence[Result]) -> COCOeval:
    """The evaluation by pycocotools of every picture, before it adds them up."""
    copies = for_pycocotools(_table(truth, results), truth.image_ids, truth.category_id)
    with quiet():
        if copies:
            found = truth.coco.loadRes(copies)
        else:  # it cannot load nothing
            found = COCO()
            found.dataset = {**truth.coco.dataset, "annotations": []}
            found.createIndex()
        judge = COCOeval(truth.coco, found, "keypoints")
        judge.params.imgIds = list(truth.image_ids)
        judge.params.catIds = [truth.category_id]
        judge.params.kpt_oks_sigmas = np.array(truth.sigmas)
        judge.evaluate()
    return judge


def labels_of(truth: Truth) -> oks.Labels:
    ids = sorted(truth.image_ids)
    mine = [(place, raw) for place, image_id in enumerate(ids) for raw in truth.coco.imgToAnns.get(image_id, [])]
    people, count, joints = [raw for _, raw in mine], len(mine), len(truth.sigmas)
    crowd = np.array([raw["iscrowd"] for raw in people], bool)
    return oks.Labels(
        np.array([place for place, _ in mine], np.int64),
        np.array([raw["keypoints"] for raw in people], float).reshape(count, joints, 3),
        np.array([raw["bbox"] for raw in people], float).reshape(count, 4),
        np.array([raw["area"] for raw in people], float),
        crowd,
        crowd | np.array([raw["num_keypoints"] == 0 for raw in people], bool),
        np.array(truth.sigmas),
        len(ids),
    )


def found_of(truth: Truth, results: Sequence[Result]) -> oks.Detections:
    table = _table(truth, results)
    place = {image_id: place for place, image_id in enumerate(sorted(truth.image_ids))}
    image = np.array([place.get(image_id, -1) for image_id in table.image_ids], np.int64)
    mine = (image >= 0) & (table.category_ids == truth.category_id)
    return oks.Detections(image[mine], table.joints[mine, :, :2], table.scores[mine], table.areas[mine])


def _table(truth: Truth, results: Sequence[Result]) -> ResultTable:
    return tabulate(results, len(truth.sigmas), truth.coco.imgs, truth.category_id)


def _annotation(
    path: Path, raw: dict[str, Any], number: int, joints: int, box_areas: bool
) -> tuple[dict[str, Any], bool]:
    """An annotation as pycocotools wants it, and whether its area had to be filled."""
    where = f"{path}: annotation {raw.get('id')}"
    box = box_of(where, raw)
    points = points_of(where, raw, joints)
    area = box[2] * box[3] * AREA_OF_BOX if box_areas else area_of(where, raw, box)
    if area == 0 and (points[:, 2] > 0).any():
        raise UserError(
            f"{where} has neither an area nor a box with one, so no prediction could ever be near it; "
            "give it a box around its joints"
        )
    return {
        "id": number,
        "image_id": raw["image_id"],
        "category_id": raw["category_id"],
        "keypoints": raw.get("keypoints") or points.ravel().tolist(),
        "num_keypoints": raw.get("num_keypoints", int((points[:, 2] > 0).sum())),
        "bbox": list(box),
        "area": area,
        "iscrowd": int(bool(raw.get("iscrowd", 0))),
    }, not raw.get("area")


def _image_ids(path: Path, images: Sequence[Any]) -> tuple[int, ...]:
    ids = [image["id"] for image in images if isinstance(image, dict) and isinstance(image.get("id"), int)]
    if len(ids) < len(images) or len(set(ids)) < len(ids):
        what = "two images with the same 'id'" if len(ids) == len(images) else "an image without a whole number as 'id'"
        raise UserError(f"{path} lists {what}; mend the list of images")
    return tuple(sorted(ids))


def quiet() -> contextlib.redirect_stdout[io.StringIO]:
    return contextlib.redirect_stdout(io.StringIO())
