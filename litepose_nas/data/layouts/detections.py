"""Boxes that a detector of people found, as files such as COCO_val2017_detections_AP_H_56_person.json list them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.fields import is_id, load_json, number
from litepose_nas.data.person import box_of
from litepose_nas.errors import UserError


class DetectedBoxes(NamedTuple):
    """The boxes found in one picture, best first."""

    boxes: NDArray[np.float32]  # (N, 4): left, top, width, height; COCO's pixels
    scores: NDArray[np.float32]  # (N,)


def read_detections(path: Path, category_id: int = 1, min_score: float = 0.0) -> dict[int | str, DetectedBoxes]:
    """The boxes of one category with at least a score, by image id; images with none are not in it.

    The id is the number of an image in a dataset, or the name of a picture.
    """
    entries = load_json(path)
    if not isinstance(entries, list):
        raise UserError(f"{path} holds a {type(entries).__name__}, not a list of detections; give another file")
    found: dict[int | str, list[tuple[float, tuple[float, ...]]]] = defaultdict(list)
    for place, entry in enumerate(entries):
        where = f"{path}: detection {place}"
        if not isinstance(entry, dict) or not is_id(entry.get("category_id")):
            raise UserError(f"{where} needs a whole number 'category_id'; mend or remove it")
        if not is_id(entry.get("image_id")) and not isinstance(entry.get("image_id"), str):
            raise UserError(f"{where} needs an 'image_id', a whole number or the name of a picture; mend or remove it")
        box, score = box_of(where, entry), number(where, "score", entry.get("score"))
        if entry["category_id"] == category_id and score >= min_score:
            found[entry["image_id"]].append((score, box))
    return {image_id: _sorted(boxes) for image_id, boxes in found.items()}


def _sorted(boxes: list[tuple[float, tuple[float, ...]]]) -> DetectedBoxes:
    ranked = sorted(boxes, key=lambda box: -box[0])
    sides = np.array([box for _, box in ranked], np.float32)
    return DetectedBoxes(sides, np.array([score for score, _ in ranked], np.float32))
