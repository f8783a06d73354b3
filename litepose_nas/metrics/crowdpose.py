"""CrowdPose's nine figures: pycocotools with CrowdPose's sigmas and areas, and once more for each of three kinds.

Which are easy depends on two limits of crowdIndex. Two pairs of them are in use: the rule stands with the figures.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pycocotools.cocoeval import COCOeval

from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.layouts.crowdpose import DIFFICULTIES, SPLIT_RULES, split_of
from litepose_nas.errors import UserError
from litepose_nas.metrics.coco import Truth, judged, quiet, truth_of
from litepose_nas.metrics.oks import known_mean
from litepose_nas.metrics.results import Result


class CrowdScores(NamedTuple):
    """CrowdPose's nine numbers, in its order; -1 where no person counts."""

    ap: float
    ap50: float
    ap75: float
    ar: float
    ar50: float
    ar75: float
    ap_easy: float
    ap_medium: float
    ap_hard: float


class CrowdTruth(NamedTuple):
    truth: Truth
    splits: dict[str, tuple[int, ...]]


def crowd_truth(document: dict[str, Any], path: Path, rule: str = "released") -> CrowdTruth:
    """The truth of a CrowdPose document; areas are 0.53 of the box, as its evaluation takes them."""
    truth = truth_of(document, path, known_skeleton("crowdpose").sigmas, box_areas=True)
    splits: dict[str, list[int]] = {name: [] for name in DIFFICULTIES}
    for image in document["images"]:
        index = image.get("crowdIndex")
        if isinstance(index, bool) or not isinstance(index, int | float) or not index >= 0:
            raise UserError(
                f"{path}: image {image['id']} has no 'crowdIndex' of zero or more, so it is neither easy nor hard; "
                "give CrowdPose's own file, or judge it with --metric coco"
            )
        splits[split_of(index, rule)].append(image["id"])
    return CrowdTruth(truth, {name: tuple(ids) for name, ids in splits.items()})


def crowdpose_ap(crowd: CrowdTruth, results: Sequence[Result]) -> CrowdScores:
    judge = judged(crowd.truth, results)
    with quiet():
        judge.accumulate()
        judge.summarize()
        ap, ap50, ap75, _, _, ar, ar50, ar75, _, _ = (float(value) for value in judge.stats)
        easy, medium, hard = (_ap_of(judge, crowd.splits[name]) for name in DIFFICULTIES)
    return CrowdScores(ap, ap50, ap75, ar, ar50, ar75, easy, medium, hard)


def nine_lines(scores: CrowdScores, rule: str) -> str:
    low, high = SPLIT_RULES[rule]
    kinds = [f"crowdIndex below {low}", f"crowdIndex {low} to {high}", f"crowdIndex {high} and more"]
    ends = [("0.50:0.95", "all"), ("0.50", "all"), ("0.75", "all")]
    names = ["Average Precision  (AP)"] * 3 + ["Average Recall     (AR)"] * 3 + ["Average Precision  (AP)"] * 3
    rows = [*ends, *ends, *[("0.50:0.95", kind) for kind in DIFFICULTIES]]
    notes = [""] * 6 + [f"  ({kind})" for kind in kinds]
    return "\n".join(
        f" {name} @[ IoU={oks:<9} | type={kind:>6} | maxDets= 20 ] = {score:0.3f}{note}"
        for name, (oks, kind), score, note in zip(names, rows, scores, notes, strict=True)
    )


def _ap_of(whole: COCOeval, image_ids: Sequence[int]) -> float:
    """The AP of some pictures out of an evaluation of all: what each found does not depend on the others."""
    judge = copy.copy(whole)
    judge.params, judge._paramsEval = copy.deepcopy(whole.params), copy.deepcopy(whole._paramsEval)
    place = {image_id: number for number, image_id in enumerate(whole.params.imgIds)}
    chosen = sorted(image_ids)
    judge.evalImgs = [whole.evalImgs[place[image_id]] for image_id in chosen]
    for params in (judge.params, judge._paramsEval):
        params.imgIds, params.areaRng, params.areaRngLbl = chosen, params.areaRng[:1], params.areaRngLbl[:1]
    judge.accumulate()
    return known_mean(judge.eval["precision"])
