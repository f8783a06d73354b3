"""People by their boxes: what a cut-out of one person shows, how training varies it, and files of detected boxes.

A box is left, top, width, height. COCO measures boxes from the edge of the picture, so they are continuous already.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.augment import Augment, Matrix, Size
from litepose_nas.data.fields import is_id, load_json, number
from litepose_nas.data.person import box_of
from litepose_nas.errors import UserError

PADDING = 1.25  # how much more than the box a cut-out shows
HALF_PADDING = 1.5  # the same around half a body, whose box is drawn tightly around joints
WHOLE_BODY_JOINTS = 8  # joints: of people with no more labelled, half a body would be too few
HALF_BODY_JOINTS = 3  # joints: the least that half a body needs
UPPER_HALF_SHARE = 0.7  # how often the upper half is taken
LOWER_JOINTS = ("hip", "knee", "ankle", "foot", "toe", "heel")  # in the names of joints of the lower half

Box = tuple[float, float, float, float]
Boxes = dict[int | str, NDArray[np.float64]]  # by image, best first: (N, 5) left, top, width, height, score


class Extent(NamedTuple):
    """What a cut-out shows: its middle in the picture, its width and height there."""

    x: float
    y: float
    width: float
    height: float


def clipped(box: Sequence[float], picture: Size) -> Box | None:
    """The part of a box that lies in a picture (height, width), or None where there is none."""
    left, top = max(float(box[0]), 0.0), max(float(box[1]), 0.0)
    right, bottom = min(float(box[0]) + float(box[2]), picture[1]), min(float(box[1]) + float(box[3]), picture[0])
    inside = right > left and bottom > top  # so that it is False for NaN too
    return (left, top, right - left, bottom - top) if inside else None


def padded(box: Sequence[float], size: Size, padding: float = PADDING) -> Extent:
    """What a cut-out of a box shows: the smallest extent of the input's aspect around it, and a margin."""
    left, top, width, height = (float(number) for number in box[:4])
    rows, columns = size
    scale = max(width / columns, height / rows) * padding
    return Extent(left + width / 2, top + height / 2, scale * columns, scale * rows)


def crop_warp(extent: Extent, size: Size, angle: float = 0.0, flipped: bool = False) -> Matrix:
    """The map that shows an extent in the whole input, turned by radians and mirrored if wanted."""
    rows, columns = size
    zoom = columns / extent.width
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    if flipped:
        turn[:, 0] *= -1
    return np.column_stack([turn, np.array([columns, rows]) / 2 - turn @ (extent.x, extent.y)])


def draw_crop(
    rng: np.random.Generator,
    box: Sequence[float],
    joints: NDArray[np.float32],
    lower: NDArray[np.bool_],
    size: Size,
    augment: Augment,
) -> tuple[Matrix, bool]:
    """Draw the map from a picture to a cut-out of a person with these joints (J, 3); say whether it mirrors."""
    # Every number is drawn whatever the settings are, so that changing one setting does not change the other draws.
    halved, upper = rng.random() < augment.half_body, rng.random() < UPPER_HALF_SHARE
    angle = math.radians(rng.uniform(-1, 1) * augment.rotation)
    scale = rng.uniform(*augment.scale)
    shift = rng.uniform(-1, 1, 2) * augment.translate
    flipped = bool(rng.random() < augment.flip)
    half = half_body(joints, lower, upper) if halved else None
    x, y, width, height = padded(box, size) if half is None else padded(half, size, HALF_PADDING)
    extent = Extent(x + shift[0] * width, y + shift[1] * height, width * scale, height * scale)
    return crop_warp(extent, size, angle, flipped), flipped


def half_body(joints: NDArray[np.float32], lower: NDArray[np.bool_], upper: bool) -> Box | None:
    """The box of the labelled joints of one half, the other half where that has too few, or None."""
    labelled = joints[:, 2] > 0
    if labelled.sum() <= WHOLE_BODY_JOINTS:
        return None
    for half in (~lower, lower) if upper else (lower, ~lower):
        points = joints[labelled & half, :2].astype(np.float64)
        if HALF_BODY_JOINTS <= len(points) < labelled.sum():
            low, high = points.min(0), points.max(0)
            if (high > low).all():
                return (*low.tolist(), *(high - low).tolist())
    return None


def lower_half(names: Sequence[str]) -> NDArray[np.bool_]:
    """Which joints belong to the lower half of a body, by their names; none where no name tells."""
    return np.array([any(part in name.lower() for part in LOWER_JOINTS) for name in names], bool)


def read_boxes(path: Path, min_score: float = 0.0, category_id: int = 1) -> Boxes:
    """The boxes of a detection file, of people unless another category is wanted."""
    found = read_detections(path, category_id, min_score)
    if not found:
        raise UserError(
            f"{path}: no box of category {category_id} has a score of {min_score:g} or more; "
            "ask for less, or give the boxes of people"
        )
    return found


def read_detections(path: Path, category_id: int = 1, min_score: float = 0.0) -> Boxes:
    """The boxes of one category with at least a score, by image id; images with none are not in it.

    The file is like COCO_val2017_detections_AP_H_56_person.json; an id is the number of an image in a dataset, or the
    name of a picture.
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


def boxes_of_file(boxes: Boxes, path: Path) -> NDArray[np.float64]:
    """The boxes of a picture file; the image may be its name, its name without the ending, or its number."""
    number = [int(path.stem)] if path.stem.isdecimal() else []
    for image in (path.name, path.stem, *number):
        if image in boxes:
            return boxes[image]
    return np.zeros((0, 5))
