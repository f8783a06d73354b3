"""Drawing people: limbs in a colour of each person, joints that tell left from right, and heatmaps as a glow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.skeleton import Skeleton, side

Image = NDArray[np.uint8]  # (H, W, 3): red, green, blue
Colour = tuple[int, int, int]

# Easy to tell apart, for eyes that see red and green alike as well (after Okabe and Ito).
PERSON_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (0, 114, 178), (213, 94, 0),
    (170, 255, 195),
)  # fmt: skip
LEFT: Colour = (40, 220, 255)
RIGHT: Colour = (255, 70, 40)
MIDDLE: Colour = (255, 255, 255)
DARK: Colour = (20, 20, 20)
_FINE = 4  # OpenCV draws at sixteenths of a pixel


class Captioned(NamedTuple):
    image: Image
    caption: str = ""


def draw_people(
    image: Image,
    people: NDArray[np.float32],
    skeleton: Skeleton,
    scores: Sequence[float] | None = None,
    hidden: NDArray[np.bool_] | None = None,
    zoom: float = 1.0,
    by_side: bool = False,
    tracks: Sequence[int] | None = None,
) -> Image:
    """A copy of a picture, enlarged by zoom, with people (P, J, 3) drawn on it.

    Coordinates are continuous; joints whose third number is 0 are left out, those of `hidden` (P, J) are hollow. The
    joints of the body's left side are blue, those of the right side red, the others white; limbs have a colour of each
    person, or by side that of their joints. People with `tracks` are numbered, and have the colour of their number.
    """
    height, width = image.shape[:2]
    if zoom != 1:
        kind = cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA
        size = (round(width * zoom), round(height * zoom))
        canvas = cv2.resize(image, size, interpolation=kind).astype(np.uint8, copy=False)
    else:
        canvas = image.copy()
    stroke = max(1, round(max(canvas.shape[:2]) / 220))
    for number, person in enumerate(people):
        who = number if tracks is None else tracks[number]
        colour = PERSON_COLOURS[who % len(PERSON_COLOURS)]
        points = person[:, :2] * zoom
        colours = limb_sides(skeleton) if by_side else [colour] * len(skeleton.limbs)
        _draw_limbs(canvas, points, person[:, 2] != 0, skeleton, colours, stroke)
        unseen = np.zeros(len(person), bool) if hidden is None else hidden[number]
        _draw_joints(canvas, points, person[:, 2] != 0, unseen, skeleton, stroke)
        if scores is not None and (person[:, 2] != 0).any():
            inside = np.clip(points[person[:, 2] != 0], 0, (canvas.shape[1], canvas.shape[0]))
            left, bottom = int(inside[:, 0].mean()) - 14, int(inside[:, 1].min()) - 2 * stroke - 4
            at = (min(max(left, 2), canvas.shape[1] - 30), max(bottom, 14))
            score = f"{scores[number]:.2f}"
            write(canvas, score if tracks is None else f"{who}: {score}", at, colour)
    return canvas


def heatmap_overlay(image: Image, heatmaps: NDArray[np.float32], zoom: float = 1.0) -> Image:
    """A copy of a picture, enlarged by zoom, on which heatmaps (J, h, w) or (h, w) of 0 to 1 glow."""
    height, width = image.shape[:2]
    size = (round(width * zoom), round(height * zoom))
    hottest = heatmaps.max(axis=0) if heatmaps.ndim == 3 else heatmaps
    heat = cv2.resize(np.clip(np.nan_to_num(hottest), 0, 1).astype(np.float32), size)
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    below = cv2.resize(image, size).astype(np.float32) * 0.6
    share = heat[..., None] ** 0.7  # weak glows are seen as well
    return np.clip(below * (1 - share) + colours * share, 0, 255).astype(np.uint8)


def side_by_side(pictures: Sequence[Captioned], columns: int | None = None, gap: int = 4) -> Image:
    """Captioned pictures as one, in rows of `columns` (default: one row)."""
    columns = columns or len(pictures)
    strip = 22 if any(picture.caption for picture in pictures) else 0
    high = max(picture.image.shape[0] for picture in pictures) + strip + gap
    wide = max(picture.image.shape[1] for picture in pictures) + gap
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * high + gap, columns * wide + gap, 3), DARK, np.uint8)
    for place, (image, caption) in enumerate(pictures):
        top, left = (place // columns) * high + gap, (place % columns) * wide + gap
        sheet[top + strip : top + strip + image.shape[0], left : left + image.shape[1]] = image
        if caption:
            write(sheet[top : top + strip, left : left + wide - gap], caption, (2, 15), MIDDLE)
    return sheet


def write(canvas: Image, text: str, at: tuple[int, int], colour: Colour) -> None:
    """Write a line of text into a picture, on a dark ground; `at` is its lower left corner."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (wide, high), below = cv2.getTextSize(text, font, size, 1)
    left, bottom = at
    cv2.rectangle(canvas, (left - 2, bottom - high - 2), (left + wide + 2, bottom + below), DARK, -1)
    cv2.putText(canvas, text, at, font, size, colour, 1, cv2.LINE_AA)


def sides(skeleton: Skeleton) -> tuple[Colour, ...]:
    """The colour of each joint: left, right or middle, by its name and its mirror image."""
    # Of a pair whose names speak of no side, the first is called left.
    return tuple(
        MIDDLE if other == joint else {"left": LEFT, "right": RIGHT}.get(side(name), LEFT if joint < other else RIGHT)
        for joint, (name, other) in enumerate(zip(skeleton.names, skeleton.mirror, strict=True))
    )


def limb_sides(skeleton: Skeleton) -> tuple[Colour, ...]:
    """The colour of each limb: that of its joints where they have one side, else that of the middle."""
    of = sides(skeleton)
    return tuple(MIDDLE if {of[a], of[b]} >= {LEFT, RIGHT} else max(of[a], of[b], key=(MIDDLE, LEFT, RIGHT).index)
                 for a, b in skeleton.limbs)  # fmt: skip


def _draw_limbs(
    canvas: Image,
    points: NDArray[np.float32],
    found: NDArray[np.bool_],
    skeleton: Skeleton,
    colours: Sequence[Colour],
    stroke: int,
) -> None:
    for ground in (True, False):
        for (a, b), colour in zip(skeleton.limbs, colours, strict=True):
            if found[a] and found[b]:
                tone, thick = (DARK, stroke + 2) if ground else (colour, stroke)
                cv2.line(canvas, _fine(points[a]), _fine(points[b]), tone, thick, cv2.LINE_AA, _FINE)


def _draw_joints(
    canvas: Image,
    points: NDArray[np.float32],
    found: NDArray[np.bool_],
    hidden: NDArray[np.bool_],
    skeleton: Skeleton,
    stroke: int,
) -> None:
    radius = round((1.4 + stroke) * 2**_FINE)
    for joint, colour in enumerate(sides(skeleton)):
        if not found[joint]:
            continue
        centre = _fine(points[joint])
        cv2.circle(canvas, centre, radius + 2**_FINE, DARK, -1, cv2.LINE_AA, _FINE)
        if hidden[joint]:
            cv2.circle(canvas, centre, radius, colour, max(1, stroke // 2), cv2.LINE_AA, _FINE)
        else:
            cv2.circle(canvas, centre, radius, colour, -1, cv2.LINE_AA, _FINE)


def _fine(point: NDArray[np.float32]) -> tuple[int, int]:
    # OpenCV calls the middle of the first pixel 0. Far outside, its integers would overflow.
    x, y = np.clip((point - 0.5) * 2**_FINE, -1e6, 1e6)
    return round(float(x)), round(float(y))
