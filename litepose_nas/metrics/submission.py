"""Predictions in the layouts in which they are handed in: COCO's list of results, MPII's array."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.layouts.mpii import FIRST_PIXEL
from litepose_nas.errors import UserError
from litepose_nas.files import replacing, write
from litepose_nas.metrics import mpii
from litepose_nas.metrics.results import Result


def write_coco(results: Sequence[Result], path: Path) -> None:
    """Write results as COCO takes them: a list of objects with four fields each.

    Results that say whose they are (`annotation_id`, for MPII) go on saying it.
    """
    rows = []
    for number, result in enumerate(results):
        points = np.array(result["keypoints"], float)
        if not np.isfinite(points).all() or not np.isfinite(result["score"]):
            raise UserError(
                f"result {number}, for image {result['image_id']}, has a NaN or an infinity; "
                "a network that diverged gives those: nothing was written"
            )
        rows.append(
            {
                "image_id": int(result["image_id"]),
                "category_id": int(result["category_id"]),
                "keypoints": points.tolist(),
                "score": float(result["score"]),
                **({"annotation_id": result["annotation_id"]} if "annotation_id" in result else {}),
            }
        )
    write(path, json.dumps(rows))


def write_mpii(joints: NDArray[np.floating], path: Path) -> None:
    """Write joints (N, 16, 2) in COCO's pixels, person after person, as MPII's .mat file, which counts from 1."""
    from scipy.io import savemat

    if path.suffix.lower() != ".mat":
        raise UserError(f"{path}: MPII takes a MATLAB file; let its name end in .mat")
    found = mpii.checked(joints, path)
    with replacing(path) as temporary:
        savemat(temporary, {"preds": found + FIRST_PIXEL})
