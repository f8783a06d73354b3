"""Pycocotools without a line of ours between it and the file: the judge of our evaluations."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from litepose_nas.metrics.oks import Detections, Labels, known_mean, match, precisions


def judged_alone(
    document: dict[str, Any],
    results: list[dict[str, Any]],
    sigmas: Sequence[float] | np.ndarray | None = None,
    ids: list[int] | None = None,
) -> tuple[list[float], list[str]]:
    """Return the ten numbers and the ten lines that are printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        truth, found = COCO(), COCO()
        truth.dataset = copy.deepcopy(document)
        truth.createIndex()
        if results:
            found = truth.loadRes(copy.deepcopy(results))
        else:
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        judge = COCOeval(truth, found, "keypoints")
        if sigmas is not None:
            judge.params.kpt_oks_sigmas = np.array(sigmas)
        if ids is not None:
            judge.params.imgIds = ids
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats.tolist(), [line for line in printed.getvalue().splitlines() if line.startswith(" Average")]


def three_numbers(labels: Labels, found: Detections) -> list[float]:
    """AP, AP50 and AP75 by our own matching, which counts people of all sizes."""
    table = precisions(match(labels, found))
    return [known_mean(values) for values in (table, table[0], table[5])]
