"""What a network is shown of an image, and where its joints are in it. It needs numpy and OpenCV.

Coordinates are continuous inside: pixel i covers [i, i + 1). What is written out calls the middle of the first pixel 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

HALF = 0.5  # from coordinates in files to continuous ones
PADDING = 1.25  # how much more than a person's box is shown
AROUND = 1.3  # how much larger than the extent of its joints a person's box is
FEWEST = 3  # joints: with less there is no telling where a person is
DOUBLE = 0.5  # overlap of two boxes above which they are one person's

Box = tuple[float, ...]  # left, top, width, height, and perhaps a score


def whole(picture: tuple[int, int], input: tuple[int, int]) -> np.ndarray:
    """The map (2, 3) that shows a whole picture (height, width) in the middle of the input, as large as it fits."""
    (height, width), (rows, columns) = picture, input
    zoom = min(rows / height, columns / width)
    return np.array([[zoom, 0.0, (columns - zoom * width) / 2], [0.0, zoom, (rows - zoom * height) / 2]])


def cut_out(box: Sequence[float], input: tuple[int, int]) -> np.ndarray:
    """The map that shows a box, in the input's aspect and with a margin, in the whole input."""
    left, top, width, height = (float(number) for number in box[:4])
    rows, columns = input
    zoom = 1 / (max(width / columns, height / rows) * PADDING)
    middle = np.array([left + width / 2, top + height / 2])
    return np.column_stack([zoom * np.eye(2), np.array([columns, rows]) / 2 - zoom * middle])


def shown(image: np.ndarray, warp: np.ndarray, input: tuple[int, int], border: Sequence[int]) -> np.ndarray:
    """What the input shows of a picture; beyond its edge there is the colour of the border."""
    shrink = int(1 / math.sqrt(abs(np.linalg.det(warp[:, :2]))))
    if shrink > 1:  # whole blocks are averaged first, or thin limbs would flicker
        rows, columns = (max(side // shrink, 1) for side in image.shape[:2])
        blocks = image[: rows * shrink, : columns * shrink]
        height, width = blocks.shape[:2]
        image = cv2.resize(blocks, (columns, rows), interpolation=cv2.INTER_AREA)
        warp = warp @ np.diag([width / columns, height / rows, 1.0])
    offset = warp @ (HALF, HALF, 1.0) - HALF  # OpenCV calls the middle of the first pixel 0, on both sides
    flat = np.column_stack([warp[:, :2], offset])
    return cv2.warpAffine(image, flat, input[::-1], flags=cv2.INTER_LINEAR, borderValue=tuple(border))


def in_picture(keypoints: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """Joints (P, J, 3) of the input in pixels of the picture, as files have them; missing joints stay zero."""
    turn = np.linalg.inv(warp[:, :2])
    moved = keypoints[..., :2].astype(np.float64) @ turn.T - turn @ warp[:, 2] - HALF
    return np.concatenate([moved, keypoints[..., 2:]], axis=-1) * (keypoints[..., 2:] != 0)


def clipped(box: Sequence[float], picture: tuple[int, int]) -> Box | None:
    """The part of a box that lies in a picture, or None where there is none."""
    left, top = max(float(box[0]), 0.0), max(float(box[1]), 0.0)
    right, bottom = min(float(box[0]) + float(box[2]), picture[1]), min(float(box[1]) + float(box[3]), picture[0])
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def around(keypoints: np.ndarray, least: float) -> Box | None:
    """The box around joints (J, 3) with a value above the least, or None where there are too few."""
    points = keypoints[keypoints[:, 2] > least, :2]
    if len(points) < FEWEST:
        return None
    low, high = points.min(0), points.max(0)
    middle, sides = (low + high) / 2, np.maximum(high - low, 1.0) * AROUND
    return (*(middle - sides / 2).tolist(), *sides.tolist())


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """The area that two boxes have in common, as a share of what they cover together."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one[2] * one[3] + other[2] * other[3] - width * height)


def without_doubles(boxes: Sequence[Box]) -> list[Box]:
    """Boxes with scores, the surest first, without those that mostly overlap a surer one."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box[4]):
        if not any(overlap(box, surer) > DOUBLE for surer in kept):
            kept.append(box)
    return kept


def surest(keypoints: np.ndarray, scores: np.ndarray, areas: np.ndarray, sigmas: np.ndarray, most: float) -> list[int]:
    """Who stays of people (P, J, 3): nobody more similar to a surer one than `most`."""
    left, kept = np.argsort(-scores.astype(np.float32), kind="stable"), []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(int(first))
        square = ((keypoints[rest, :, :2] - keypoints[first, :, :2]) ** 2).sum(-1)
        mean = np.maximum((areas[first] + areas[rest]) / 2, np.finfo(float).eps)
        alike = np.exp(-square / ((2 * sigmas) ** 2 * 2 * mean[:, None])).mean(-1)
        left = rest[alike <= most]
    return sorted(kept)
