"""Boxes that a detector of people found, as files such as COCO_val2017_detections_AP_H_56_person.json list them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.fields import is_id, load_json, number
from litepose_nas.data.person import box_of
from litepose_nas.errors import UserError

Boxes = dict[int | str, NDArray[np.float64]]  # by image, best first: (N, 5) left, top, width, height, score


def read_detections(path: Path, category_id: int = 1, min_score: float = 0.0) -> Boxes:
    """The boxes of one category with at least a score, by image id; images with none are not in it.

    The id is the number of an image in a dataset, or the name of a picture.
    """
    entries = load_json(path)
    if not isinstance(entries, list):
        raise UserError(f"{path} holds a {type(entries).__name__}, not a list of detections; give another file")
    found: dict[int | str, list[tuple[float, ...]]] = defaultdict(list)
    for place, entry in enumerate(entries):
        where = f"{path}: detection {place}"
        if not isinstance(entry, dict) or not is_id(entry.get("category_id")):
            raise UserError(f"{where} needs a whole number 'category_id'; mend or remove it")
        if not is_id(entry.get("image_id")) and not isinstance(entry.get("image_id"), str):
            raise UserError(f"{where} needs an 'image_id', a whole number or the name of a picture; mend or remove it")
        box, score = box_of(where, entry), number(where, "score", entry.get("score"))
        if entry["category_id"] == category_id and score >= min_score:
            found[entry["image_id"]].append((*box, score))
    return {
        image_id: np.array(sorted(boxes, key=lambda box: -box[4]), np.float32).astype(np.float64)
        for image_id, boxes in found.items()
    }
