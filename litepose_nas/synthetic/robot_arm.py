"""Drawn robot arms: seven joints in a plane, for what a person's skeleton cannot show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.synthetic import backdrop, paint
from litepose_nas.synthetic.backdrop import Light
from litepose_nas.synthetic.figure import Floats
from litepose_nas.synthetic.paint import Colour
from litepose_nas.synthetic.scene import FINE, STANDARD, DrawnPerson, DrawnPicture, finished, picture_point, shown_of

# Left and right are those of a viewer who looks along the arm, so the fingers change places in a mirrored picture.
SKELETON: Skeleton = make_skeleton(
    ("base", "shoulder", "elbow", "wrist", "hand", "left_finger", "right_finger"),
    ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (4, 6)),
    (0.1,) * 7,  # an arm is thin: it takes a third of the area of a person in the same box
)
# In lengths of an arm that is stretched out.
COLUMN, UPPER, FORE, HAND, FINGER = 0.20, 0.31, 0.27, 0.08, 0.14
# The labels of what is painted, and which of them meet at each joint: where one of those shows, the joint is seen.
FOOT_PART, COLUMN_PART, UPPER_PART, FORE_PART, HAND_PART, LEFT_PART, RIGHT_PART = range(7)
PARTS_AT_JOINT = (
    (FOOT_PART, COLUMN_PART), (COLUMN_PART, UPPER_PART), (UPPER_PART, FORE_PART), (FORE_PART, HAND_PART),
    (HAND_PART, LEFT_PART, RIGHT_PART), (LEFT_PART,), (RIGHT_PART,),
)  # fmt: skip
MIN_SEEN_JOINTS = 4  # joints of an arm, or the picture is drawn again
STEEL: Colour = (96, 92, 90)


class Arm(NamedTuple):
    joints: Floats  # (7, 2)
    scale: float  # pixels of the canvas to the length of an arm
    paint: Colour
    trim: Colour  # of the joints and fingers


def draw_picture(rng: np.random.Generator, size: int) -> DrawnPicture:
    """A square picture of one or two arms; it is drawn again while too much of one is hidden."""
    for _ in range(12):
        picture = _draw_once(rng, size)
        if all((arm.joints[:, 2] == 2).sum() >= MIN_SEEN_JOINTS for arm in picture.people):
            break
    return picture


def pose_joints(column: float, shoulder: float, elbow: float, wrist: float, grip: float) -> Floats:
    """The joints (7, 2) of an arm of length 1 that stands at 0, y down; angles in radians, 0 is straight on.

    The grip is the angle between the fingers; angles turn clockwise, as in pictures.
    """
    joints, place, angle = [np.zeros(2)], np.zeros(2), 0.0
    for length, bend in ((COLUMN, column), (UPPER, shoulder), (FORE, elbow), (HAND, wrist)):
        angle += bend
        place = place + length * _upwards(angle)
        joints.append(place)
    joints += [place + FINGER * _upwards(angle + side * grip / 2) for side in (-1, 1)]
    return np.array(joints)


def _upwards(angle: float) -> Floats:
    return np.array((np.sin(angle), -np.cos(angle)))


def _draw_once(rng: np.random.Generator, size: int) -> DrawnPicture:
    side = size * FINE
    canvas = np.zeros((side, side, 4), np.uint8)
    light = backdrop.draw_light(rng)
    backdrop.paint_backdrop(canvas, rng, muted=True)
    backdrop.paint_clutter(canvas, rng, int(rng.integers(1, 5)), int(rng.integers(0, 3)), light, muted=True)
    count = 1 + int(rng.random() < 0.3)
    arms = [_place(rng, (slot + 0.5) / count, side / count**0.5, side) for slot in rng.permutation(count).tolist()]
    arms.sort(key=lambda arm: float(arm.joints[0, 1]))  # who stands lower in the picture stands nearer
    for number, arm in enumerate(arms):
        _paint_arm(canvas, number, arm, light)
        if rng.random() < 0.3:
            low, high = arm.joints.min(0), arm.joints.max(0)
            backdrop.paint_thing(canvas, rng, (low[0], low[1], high[0], high[1]), 0.6 * arm.scale, light)
    image, labels = finished(canvas, rng, STANDARD)
    return DrawnPicture(image, labels, [_truth(labels, number, arm) for number, arm in enumerate(arms)], None)


def _place(rng: np.random.Generator, slot: float, room: float, side: int) -> Arm:
    """An arm that lies in the picture whole, about the middle of its share of the width."""
    ranges = ((-80, 80), (-130, 130), (-80, 80), (25, 95))  # shoulder, elbow, wrist, between the fingers
    degrees = (rng.normal(0, 4), *(rng.uniform(low, high) for low, high in ranges))
    unit = pose_joints(*np.radians(degrees).tolist())
    ends = np.concatenate((unit, ((-0.08, 0.02), (0.08, 0.02))))  # of the foot
    low, high = ends.min(0) - 0.05, ends.max(0) + 0.05
    scale = min(room * rng.uniform(0.65, 0.97) / float((high - low).max()), 1.3 * room)
    spare = side - scale * (high - low)
    across = np.clip(slot * side - scale * (high - low)[0] / 2 + rng.normal(0, 0.12) * side, 0, spare[0])
    down = spare[1] * rng.uniform(0.4, 1.0)
    colour = paint.any_colour(rng, (0.5, 1.0), (0.65, 1.0))
    trim = paint.any_colour(rng, (0.0, 0.25), (0.15, 0.45))
    return Arm((unit - low) * scale + (across, down), scale, colour, trim)


def _paint_arm(canvas: paint.Canvas, number: int, arm: Arm, light: Light) -> None:
    base, scale, points = 16 * (number + 1), arm.scale, arm.joints

    def bone(part: int, start: Floats, end: Floats, radii: tuple[float, float], colour: Colour) -> None:
        circles = [(float(x), float(y), scale * radius) for (x, y), radius in zip((start, end), radii, strict=True)]
        paint.shade_hull(canvas, circles, colour, base + part, light)

    foot, half = points[0] + (0, 0.03 * scale), np.array((0.09 * scale, 0))
    backdrop.darken_ellipse(canvas, foot[0], foot[1], 0.16 * scale, 0.04 * scale)
    bone(FOOT_PART, foot - half, foot + half, (0.03, 0.03), STEEL)
    bone(COLUMN_PART, points[0], points[1], (0.062, 0.048), arm.trim)
    for part, first, radii in ((UPPER_PART, 1, (0.045, 0.036)), (FORE_PART, 2, (0.036, 0.027))):
        bone(part, points[first], points[first + 1], radii, arm.paint)
        paint.fill_hull(canvas, [(*points[first].tolist(), 0.020 * scale)], arm.trim, base + part)
    bone(HAND_PART, points[3], points[4], (0.027, 0.032), arm.trim)
    for part, tip in ((LEFT_PART, points[5]), (RIGHT_PART, points[6])):
        bone(part, points[4], tip, (0.016, 0.016), arm.paint)


def _truth(labels: np.ndarray, number: int, arm: Arm) -> DrawnPerson:
    joints = np.zeros((len(SKELETON.names), 3))
    columns, rows = np.rint(arm.joints).astype(int).T
    for joint, (x, y) in enumerate(zip(columns.tolist(), rows.tolist(), strict=True)):
        seen = int(labels[y, x]) - 16 * (number + 1) in PARTS_AT_JOINT[joint]
        joints[joint] = (*picture_point(arm.joints[joint]), 2 if seen else 1)
    return DrawnPerson(joints, *shown_of(labels, number), "arm", 0.0)
