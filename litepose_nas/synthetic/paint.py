"""Painting a figure: every part of it is the hull of a few circles, filled in three tones, far parts first.

A canvas is (H, W, 4) uint8: blue, green, red, and the label of what the pixel shows, so that one fill paints both and
what covers a joint is never a guess. Labels: 0 background, 255 a thing, else 16 * (number of the figure + 1) + part.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas.synthetic.figure import Figure, Floats

Canvas = NDArray[np.uint8]
Colour = tuple[float, float, float]  # blue, green, red
Circles = Sequence[tuple[float, float, float]] | Floats  # x, y, radius

THING = 255
HEAD, TORSO, PELVIS, ARM, FOREARM, THIGH, SHIN = 0, 1, 2, 3, 5, 7, 9  # the last four: + 0 left, + 1 right

# The parts that meet at each joint: where a pixel of a joint shows one of them, the joint is seen.
PARTS_AT_JOINT = (
    *((HEAD,),) * 5,
    (TORSO, ARM), (TORSO, ARM + 1), (ARM, FOREARM), (ARM + 1, FOREARM + 1), (FOREARM,), (FOREARM + 1,),
    (PELVIS, TORSO, THIGH), (PELVIS, TORSO, THIGH + 1), (THIGH, SHIN), (THIGH + 1, SHIN + 1), (SHIN,), (SHIN + 1,),
)  # fmt: skip

SKINS: tuple[Colour, ...] = (
    (190, 212, 244), (160, 190, 232), (128, 166, 216), (96, 134, 190), (66, 98, 152), (44, 66, 106),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = ((28, 28, 30), (34, 46, 66), (46, 74, 112), (90, 150, 196), (150, 152, 156), (40, 62, 140))

_TONES = (0.62, 1.0, 1.16)
_SIZES = np.array((1.0, 0.80, 0.40)).reshape(3, 1, 1, 1)
_SHIFTS = np.array((0.0, 0.16, 0.36)).reshape(3, 1, 1, 1)  # of the radius, towards the light
_CAP = np.arange(20) * (2 * np.pi / 20)


class Outfit(NamedTuple):
    skin: Colour
    hair: Colour
    long_hair: bool
    cap: Colour | None
    shirt: Colour
    pattern: str  # plain, stripes, zip
    accent: Colour
    sleeves: int  # 0 none, 1 to the elbow, 2 to the wrist
    bottom: str  # long, short, skirt
    trousers: Colour
    shoes: Colour


def any_colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    """A random colour whose saturation and value (0 to 1) lie in the ranges."""
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return (round(255 * blue), round(255 * green), round(255 * red))


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Random clothes, skin and hair; both sides of a figure are always dressed alike."""
    skin = SKINS[int(rng.integers(len(SKINS)))]
    jitter = rng.uniform(0.92, 1.06)
    return Outfit(
        skin=toned(skin, jitter),
        hair=HAIRS[int(rng.integers(len(HAIRS)))],
        long_hair=bool(rng.random() < 0.3),
        cap=any_colour(rng, (0.3, 0.9), (0.3, 0.9)) if rng.random() < 0.15 else None,
        shirt=any_colour(rng, (0.15, 0.95), (0.35, 1.0)),
        pattern=("plain", "plain", "stripes", "zip")[int(rng.integers(4))],
        accent=any_colour(rng, (0.0, 0.8), (0.1, 1.0)),
        sleeves=int(rng.choice(3, p=(0.15, 0.45, 0.40))),
        bottom=("long", "long", "long", "short", "short", "skirt")[int(rng.integers(6))],
        trousers=any_colour(rng, (0.05, 0.7), (0.15, 0.75)),
        shoes=any_colour(rng, (0.0, 0.6), (0.1, 0.95)),
    )


def fill_hull(canvas: Canvas, circles: Circles, colour: Colour, label: int) -> None:
    """Fill the convex hull of circles (x, y, radius) with a colour and a label."""
    discs = np.asarray(circles, np.float64)
    outline = discs[:, None, :2] + discs[:, 2, None, None] * _circle(discs)
    points = np.rint(outline.reshape(-1, 1, 2) * 16).astype(np.int32)
    cv2.fillConvexPoly(canvas, cv2.convexHull(points), (*colour, label), shift=4)


def shade_hull(canvas: Canvas, circles: Circles, colour: Colour, label: int, light: tuple[float, float]) -> None:
    """Fill the hull of circles as a round body: a dark rim, its colour, and a lighter band towards the light."""
    discs = np.asarray(circles, np.float64)
    radii = discs[:, 2, None, None]
    centres = discs[None, :, None, :2] + _SHIFTS * np.array(light) * radii
    outlines = centres + _SIZES * radii * _circle(discs)
    points = np.rint(outlines.reshape(len(_TONES), -1, 1, 2) * 16).astype(np.int32)
    for tone, outline in zip(_TONES, points, strict=True):
        cv2.fillConvexPoly(canvas, cv2.convexHull(outline), (*toned(colour, tone), label), shift=4)


def paint_figure(
    canvas: Canvas,
    figure: Figure,
    outfit: Outfit,
    number: int,
    origin: tuple[float, float],
    scale: float,
    light: tuple[float, float],
) -> None:
    """Paint a figure with its pelvis at origin, scale pixels to a body height; number labels its pixels."""
    base = 16 * (number + 1)
    for _, part, circles, colour, rounded in sorted(_parts(figure, outfit), key=lambda item: item[0]):
        discs = np.asarray(circles, np.float64) * scale
        discs[:, :2] += origin
        if rounded:
            shade_hull(canvas, discs, colour, base + part, light)
        else:
            fill_hull(canvas, discs, colour, base + part)


Part = tuple[float, int, list[tuple[float, float, float]], Colour, bool]  # depth, part, circles, colour, rounded


def _parts(figure: Figure, outfit: Outfit) -> list[Part]:
    return [*_limbs(figure, outfit), *_trunk(figure, outfit), *_head(figure, outfit)]


def _limbs(figure: Figure, outfit: Outfit) -> list[Part]:
    stout = figure.body.stout
    joints = figure.joints
    parts: list[Part] = []
    for side in (0, 1):
        shoulder, elbow, wrist = joints[5 + side], joints[7 + side], joints[9 + side]
        hip, knee, ankle = joints[11 + side], joints[13 + side], joints[15 + side]
        hand, heel, toe = figure.hands[side], figure.heels[side], figure.toes[side]
        upper = outfit.shirt if outfit.sleeves > 0 else outfit.skin
        lower = outfit.shirt if outfit.sleeves > 1 else outfit.skin
        thigh = outfit.skin if outfit.bottom == "skirt" else outfit.trousers
        shin = outfit.trousers if outfit.bottom == "long" else outfit.skin
        arm_r, elbow_r, wrist_r = 0.034 * stout, 0.027 * stout, 0.021 * stout
        thigh_r, knee_r, ankle_r = 0.054 * stout, 0.037 * stout, 0.026 * stout
        # Arms hang outside the trunk and thighs in front of the pelvis: a small step towards the viewer keeps them so.
        arm_z, fore_z = _depth(shoulder, elbow) + 0.035, _depth(elbow, wrist) + 0.042
        thigh_z, shin_z = _depth(hip, knee) + 0.02, _depth(knee, ankle) + 0.015
        parts += [
            (arm_z, ARM + side, [_disc(shoulder, arm_r), _disc(elbow, elbow_r)], upper, True),
            (fore_z - 1e-3, FOREARM + side, [_disc(wrist, 0.018), _disc(hand, 0.022)], outfit.skin, True),
            (fore_z, FOREARM + side, [_disc(elbow, elbow_r), _disc(wrist, wrist_r)], lower, True),
            (thigh_z, THIGH + side, [_disc(hip, thigh_r), _disc(knee, knee_r)], thigh, True),
            (shin_z, SHIN + side, [_disc(knee, knee_r), _disc(ankle, ankle_r)], shin, True),
            (_depth(heel, toe) + 0.02, SHIN + side, [_disc(heel, 0.026), _disc(toe, 0.021)], outfit.shoes, True),
        ]
    return parts


def _trunk(figure: Figure, outfit: Outfit) -> list[Part]:
    stout = figure.body.stout
    joints, chest = figure.joints, figure.chest
    hips = (joints[11] + joints[12]) / 2
    left, ahead = chest[:, 0], chest[:, 2]
    z = float((figure.neck[2] + hips[2]) / 2)

    def on_trunk(down: float, wide: float, deep: float = 0.0) -> Floats:
        middle = figure.neck + (hips - figure.neck) * down
        return np.asarray(middle + left * wide + ahead * deep)

    inner = figure.body.shoulder - 0.018
    shoulders = [_disc(on_trunk(0.10, inner * s), 0.040 * stout) for s in (-1, 1)]
    middle = [_disc(on_trunk(0.30, 0, 0.012), 0.062 * stout), _disc(on_trunk(0.62, 0, 0.014), 0.058 * stout)]
    waist = [_disc(on_trunk(0.78, 0.042 * s), 0.046 * stout) for s in (-1, 1)]
    seat = [_disc(joints[11], 0.052 * stout), _disc(joints[12], 0.052 * stout)]
    collar = figure.neck + (figure.head - figure.neck) * 0.25
    parts: list[Part] = [
        (z, TORSO, shoulders + middle + waist, outfit.shirt, True),
        (z + 1e-3, PELVIS, waist + seat, outfit.trousers, True),
        (
            _depth(collar, figure.head) - 0.01,
            TORSO,
            [_disc(figure.neck, 0.034), _disc(figure.head, 0.030)],
            outfit.skin,
            True,
        ),
    ]
    if outfit.bottom == "skirt":
        legs = max(_depth(joints[11 + side], joints[13 + side]) for side in (0, 1))
        hem = [_disc(joints[11 + s] * 0.35 + joints[13 + s] * 0.65, 0.056 * stout) for s in (0, 1)]
        parts.append((legs + 0.022, PELVIS, seat + hem, outfit.trousers, True))
    if outfit.pattern == "stripes":
        for at in (0.22, 0.42, 0.62):
            wide = figure.body.shoulder - 0.004 - 0.055 * at
            stripe = [_disc(on_trunk(at, wide * s), 0.011) for s in (-1, 1)]
            parts.append((z + 2e-4, TORSO, stripe, outfit.accent, False))
    if ahead[2] > 0.15:  # the front of a shirt differs from its back
        throat = [_disc(on_trunk(0.02, 0.022 * s, 0.03), 0.014) for s in (-1, 1)]
        throat.append(_disc(on_trunk(0.16, 0, 0.05), 0.008))
        parts.append((z + 4e-4, TORSO, throat, outfit.skin, False))
        if outfit.pattern == "zip":
            line = [_disc(on_trunk(0.18, 0, 0.05), 0.008), _disc(on_trunk(0.85, 0, 0.05), 0.008)]
            parts.append((z + 3e-4, TORSO, line, outfit.accent, False))
    return parts


def _head(figure: Figure, outfit: Outfit) -> list[Part]:
    r, head, gaze, joints = figure.body.head, figure.head, figure.gaze, figure.joints
    up, ahead = gaze[:, 1], gaze[:, 2]
    z = float(head[2]) + 0.3 * r
    crown = head + up * (0.12 * r)
    # A skull is longer than wide, and longer from brow to nape: three circles say so from every side.
    skull = [
        _disc(crown - ahead * (0.22 * r), 0.92 * r),
        _disc(crown, 0.95 * r),
        _disc(head - up * (0.12 * r), 0.86 * r),
    ]
    jaw = [_disc(head - up * (0.30 * r) + ahead * (0.18 * r), 0.74 * r), _disc(head, 0.84 * r)]
    parts: list[Part] = []
    facing = float(ahead[2])
    if outfit.long_hair:
        nape = [_disc(head - ahead * (0.35 * r), 0.95 * r), _disc(head - up * (1.9 * r) - ahead * (0.55 * r), 0.75 * r)]
        behind = z - 0.9 * r * facing - 0.02
        if facing > 0.2:  # seen from the front, it falls down the back
            behind = min(behind, float(figure.neck[2] + figure.joints[11:13, 2].mean()) / 2 - 1e-3)
        parts.append((behind, HEAD, nape, outfit.hair, True))
    if facing > -0.45:  # the jaw shows below the hair from the front and the sides
        parts.append((z, HEAD, jaw, outfit.skin, True))
    parts.append((z + 1e-4, HEAD, skull, outfit.hair, True))
    face = _face_outline(figure)
    if face is not None:
        parts.append((z + 2e-4, HEAD, face, toned(outfit.skin, 0.86), False))
        parts.append((z + 3e-4, HEAD, [(x, y, 0.0) for x, y, _ in _shrunk(face, 0.86)], outfit.skin, False))
    if outfit.cap is not None:
        top = [_disc(crown + up * (0.25 * r) - ahead * (0.1 * r), 0.86 * r), _disc(crown + up * (0.3 * r), 0.8 * r)]
        peak = [_disc(head + up * (0.55 * r) + ahead * (a * r), 0.16 * r) for a in (0.6, 1.45)]
        parts.append((z + (6e-4 if facing > 0 else 0.5e-4), HEAD, peak, toned(outfit.cap, 0.8), False))
        parts.append((z + 5e-4, HEAD, top, outfit.cap, True))
    for side in (0, 1):
        outwards = float(joints[3 + side][2] - head[2]) / r
        if outwards > -0.25:
            ear = [
                _disc(joints[3 + side] + up * (0.08 * r), 0.17 * r),
                _disc(joints[3 + side] - up * (0.1 * r), 0.15 * r),
            ]
            parts.append((z + 7e-4, HEAD, ear, toned(outfit.skin, 0.88), True))
        if float(joints[1 + side][2] - head[2]) > 0.08 * r:
            parts.append((z + 8e-4, HEAD, [_disc(joints[1 + side], 0.20 * r)], (246, 248, 250), False))
            parts.append((z + 9e-4, HEAD, [_disc(joints[1 + side], 0.13 * r)], (28, 24, 22), False))
    if facing > -0.1:
        bridge = head + gaze @ np.array((0, 0.05, 0.92)) * r
        tip = head + gaze @ np.array((0, -0.20, 1.06)) * r
        nose = [_disc(bridge, 0.08 * r), _disc(tip, 0.15 * r)]
        parts.append((z + 1.0e-3, HEAD, nose, toned(outfit.skin, 0.74), False))
    if facing > 0.2:
        mouth = [_disc(head + gaze @ np.array((0.24 * s, -0.56, 0.82)) * r, 0.075 * r) for s in (-1, 1)]
        parts.append((z + 1.1e-3, HEAD, mouth, (70, 60, 150), False))
    return parts


def _face_outline(figure: Figure) -> list[tuple[float, float, float]] | None:
    # The face is a cap of the skull's sphere: its rim, with the far points laid on the outline of the sphere.
    r, gaze = figure.body.head * 0.95, figure.gaze
    middle = np.array((0.0, -0.26, 0.9656))
    across = np.array((1.0, 0.0, 0.0))
    upwards = np.cross(middle, across)
    rim = 0.55 * middle + 0.8352 * (np.cos(_CAP)[:, None] * across + np.sin(_CAP)[:, None] * upwards * 1.05)
    rim = rim @ gaze.T
    if float(rim[:, 2].max()) <= 0.05:
        return None
    flat = rim[:, :2]
    far = rim[:, 2] < 0
    length = np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    flat = np.where(far[:, None], flat / length, flat) * r + figure.head[:2]
    return [(float(x), float(y), 0.0) for x, y in flat]


def _shrunk(outline: list[tuple[float, float, float]], factor: float) -> list[tuple[float, float, float]]:
    points = np.asarray(outline)
    middle = points.mean(axis=0)
    return [(float(x), float(y), 0.0) for x, y, _ in middle + (points - middle) * factor]


def _disc(point: Floats, radius: float) -> tuple[float, float, float]:
    return (float(point[0]), float(point[1]), radius)


def _depth(a: Floats, b: Floats) -> float:
    return float(a[2] + b[2]) / 2


def toned(colour: Colour, factor: float) -> Colour:
    blue, green, red = colour
    return (min(255.0, blue * factor), min(255.0, green * factor), min(255.0, red * factor))


def _unit_circle(corners: int) -> Floats:
    angles = np.arange(corners) * (2 * np.pi / corners)
    return np.stack((np.cos(angles), np.sin(angles)), axis=1)


_ROUND, _ROUNDER = _unit_circle(12), _unit_circle(36)


def _circle(discs: Floats) -> Floats:
    return _ROUND if discs[:, 2].max() < 14 else _ROUNDER  # twelve corners show only on large discs
