"""Augmentation: one affine map and one colour map for a picture, and the same affine map for its joints and masks.

Coordinates inside the program are continuous: pixel i covers [i, i + 1), so the middle of the first pixel is at 0.5.
Files in COCO's format call that middle 0: `HALF` is added when joints are read into a batch, and subtracted when
results are written. Sizes are (height, width) everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.pixels import CONVENTIONS, DEFAULT

Size = tuple[int, int]  # height, width
Matrix = NDArray[np.float64]  # (2, 3): continuous (x, y, 1) of one picture to continuous (x, y) of another
Image = NDArray[np.uint8]  # (H, W, 3): red, green, blue

HALF = 0.5  # from COCO's coordinates to continuous ones
BORDER = tuple(round(255 * value) for value in CONVENTIONS[DEFAULT].mean)  # becomes 0 in a network's input, by default
_GREY = np.array([0.299, 0.587, 0.114])


class Augment(NamedTuple):
    """How far a training picture may depart from its original; each quantity is drawn evenly from its range."""

    rotation: float = 30.0  # degrees to either side
    scale: tuple[float, float] = (0.75, 1.5)  # side of what is shown, in short sides of the picture or sides of the box
    translate: float = 0.1  # to either side, as a share of the input's size
    flip: float = 0.5  # probability of a mirrored picture
    colour: float = 0.2  # brightness, contrast and saturation are each multiplied by 1 - colour to 1 + colour
    half_body: float = 0.0  # probability that a cut-out of a person shows one half, where joints of both are labelled


PUBLISHED = Augment(translate=40 / 512, colour=0.0)  # LitePose's own


def draw_warp(rng: np.random.Generator, record_size: Size, input_size: Size, augment: Augment) -> tuple[Matrix, bool]:
    """Draw the map from a picture to the network's input, and say whether it mirrors."""
    # Every number is drawn whatever the settings are, so that changing one setting does not change the other draws.
    angle = math.radians(rng.uniform(-1, 1) * augment.rotation)
    side = rng.uniform(*augment.scale)
    shift = rng.uniform(-1, 1, 2) * augment.translate
    flipped = bool(rng.random() < augment.flip)
    (height, width), (rows, columns) = record_size, input_size
    zoom = max(rows / height, columns / width) / side
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    if flipped:
        turn[:, 0] *= -1
    centre = np.array([columns, rows]) * (0.5 + shift)
    return np.column_stack([turn, centre - turn @ (width / 2, height / 2)]), flipped


def fit_warp(record_size: Size, input_size: Size) -> Matrix:
    """The map that shows a whole picture in the middle of the input, as large as it fits."""
    (height, width), (rows, columns) = record_size, input_size
    zoom = min(rows / height, columns / width)
    return np.array([[zoom, 0.0, (columns - zoom * width) / 2], [0.0, zoom, (rows - zoom * height) / 2]])


def invert(matrix: Matrix) -> Matrix:
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def warp_picture(image: Image, matrix: Matrix, input_size: Size) -> Image:
    """What the network's input shows of a picture; beyond the picture's edge there is the mean colour."""
    shrink = int(1 / math.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink > 1:
        # A straight look-up would skip pixels, so that thin limbs flicker: average them first.
        # Only whole blocks, without the rest at the edge: OpenCV is three times as fast with them.
        rows, columns = (max(side // shrink, 1) for side in image.shape[:2])
        blocks = image[: rows * shrink, : columns * shrink]
        height, width = blocks.shape[:2]
        image = cv2.resize(blocks, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        matrix = matrix @ np.diag([width / columns, height / rows, 1.0])
    warped = cv2.warpAffine(
        image, _between_middles(matrix), input_size[::-1], flags=cv2.INTER_LINEAR, borderValue=BORDER
    )
    return warped.astype(np.uint8, copy=False)


def warp_mask(mask: NDArray[np.bool_], matrix: Matrix, input_size: Size) -> NDArray[np.bool_]:
    """What the network's input shows of a mask; beyond the picture's edge it is False."""
    flat = _between_middles(matrix)
    return cv2.warpAffine(mask.view(np.uint8), flat, input_size[::-1], flags=cv2.INTER_NEAREST) > 0


def warp_joints(
    joints: NDArray[np.float32], matrix: Matrix, mirror: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """Joints (P, J, 3) after a map, zero where they are not labelled.

    `mirror` says which joint each becomes in a mirrored picture (Skeleton.mirror); give it when the map mirrors.
    """
    moved = joints[..., :2].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    warped = np.concatenate([moved, joints[..., 2:]], axis=-1) * (joints[..., 2:] > 0)
    return (warped if mirror is None else warped[:, list(mirror)]).astype(np.float32)


def to_files(keypoints: NDArray[np.float32], warp: Matrix) -> NDArray[np.float64]:
    """People (P, J, 3) found in a network's input in COCO's pixels of the picture; missing joints stay zero."""
    back = invert(warp)
    moved = keypoints[..., :2].astype(np.float64) @ back[:, :2].T + back[:, 2] - HALF
    return np.concatenate([moved, keypoints[..., 2:]], axis=-1) * (keypoints[..., 2:] != 0)


def draw_colours(rng: np.random.Generator, augment: Augment) -> Matrix:
    """Draw a colour map (3, 4): red, green, blue and 1 to red, green, blue, from 0 to 255."""
    brightness, contrast, saturation = 1 + rng.uniform(-1, 1, 3) * augment.colour
    # All three are linear, so they are one matrix: away from or toward grey, then from the mean colour, then darker.
    turn = saturation * np.eye(3) + (1 - saturation) * _GREY
    offset = (1 - contrast) * np.array(BORDER)
    return brightness * np.column_stack([contrast * turn, offset])


def change_colours(image: Image, colours: Matrix) -> Image:
    return cv2.transform(image, colours.astype(np.float32)).astype(np.uint8, copy=False)


def _between_middles(matrix: Matrix) -> Matrix:
    # OpenCV calls the middle of the first pixel 0, on both sides of the map.
    offset = matrix @ (HALF, HALF, 1.0) - HALF
    return np.column_stack([matrix[:, :2], offset])
