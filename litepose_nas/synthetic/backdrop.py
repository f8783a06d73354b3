"""What surrounds the figures of a drawn picture: walls, floors, clutter, things that hide people, and a far crowd."""

from __future__ import annotations

import cv2
import numpy as np

from litepose_nas.synthetic.paint import HAIRS, SKINS, THING, Canvas, Colour, any_colour, fill_hull, shade_hull, toned

CROWD = 1  # the label of a crowd's pixels: below every figure's
NOTHING = 0

Light = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom


def draw_light(rng: np.random.Generator) -> Light:
    """Draw where the light comes from: from above, from either side."""
    angle = rng.uniform(-0.85, 0.85)
    return float(np.sin(angle)), -float(np.cos(angle))


def paint_backdrop(canvas: Canvas, rng: np.random.Generator, muted: bool) -> float:
    """Paint a wall and a floor over the whole canvas and return the height of the line between them."""
    height, width = canvas.shape[:2]
    saturation = (0.0, 0.35) if muted else (0.0, 0.8)
    value = (0.45, 0.9) if muted else (0.1, 1.0)
    horizon = int(height * rng.uniform(0.35, 0.75))
    for top, bottom in ((0, horizon), (horizon, height)):
        # Painted coarser than the canvas: nothing in it has an edge, and it is most of the pixels.
        rows, columns = (bottom - top) // 2, width // 2
        tone = rng.uniform(-45, 45, (4, 4, 1)) + rng.uniform(-10, 10, (4, 4, 3)) * (1 if muted else 4)
        patches = np.array(any_colour(rng, saturation, value)) + tone * rng.uniform(0.1, 1.0)
        layer = cv2.resize(patches.astype(np.float32), (columns, rows))
        cell = (0, 1, 4, 12)[int(rng.integers(4))]
        if cell:
            grain = rng.normal(0, rng.uniform(3, 20), (rows // cell + 2, columns // cell + 2)).astype(np.float32)
            layer = layer + cv2.resize(grain, (columns, rows))[..., None]
        smooth = np.clip(layer, 0, 255).astype(np.uint8)
        canvas[top:bottom, :, :3] = cv2.resize(smooth, (width, bottom - top))
        _lines(canvas[top:bottom], rng)
    canvas[..., 3] = NOTHING
    return float(horizon)


def paint_clutter(
    canvas: Canvas, rng: np.random.Generator, shapes: int, sticks: int, light: Light, muted: bool
) -> None:
    """Paint shapes, and upright things of limbs and balls that are no people."""
    height, width = canvas.shape[:2]
    saturation, value = ((0.0, 0.5), (0.3, 0.9)) if muted else ((0.0, 1.0), (0.0, 1.0))
    for _ in range(shapes):
        colour = any_colour(rng, saturation, value)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(0.03, 0.18, 2) * height
        kind = int(rng.integers(4))
        if kind == 0:
            fill_hull(canvas, [(x, y, max(w, h) * 0.7)], colour, NOTHING)
        elif kind == 1:
            fill_hull(canvas, _corners((x - w, y - h, x + w, y + h)), colour, NOTHING)
            inner = (x - w * 0.85, y - h * 0.85, x + w * 0.85, y + h * 0.85)
            fill_hull(canvas, _corners(inner), any_colour(rng, saturation, value), NOTHING)
        elif kind == 2:
            three = rng.normal(0, 1.2, (3, 2)) * (w, h) + (x, y)
            fill_hull(canvas, np.column_stack((three, np.zeros(3))), colour, NOTHING)
        else:
            shade_hull(canvas, [(x - w, y, h * 0.4), (x + w, y, h * 0.4)], colour, NOTHING, light)
    for _ in range(sticks):
        _stick(canvas, rng, light, any_colour(rng, saturation, value))


def paint_crowd(canvas: Canvas, rng: np.random.Generator, horizon: float, light: Light) -> None:
    """Paint a dense group of small people far away, too small to be labelled one by one."""
    height, width = canvas.shape[:2]
    count = int(rng.integers(10, 25))
    tall = height * rng.uniform(0.08, 0.12)
    middle, spread = width * rng.uniform(0.15, 0.85), tall * count * rng.uniform(0.08, 0.16)
    feet = np.sort(horizon + tall * rng.uniform(0.2, 1.0, count))
    for y in feet:
        x = middle + spread * rng.uniform(-1, 1)
        skin = SKINS[int(rng.integers(len(SKINS)))]
        hair = HAIRS[int(rng.integers(len(HAIRS)))]
        h = tall * rng.uniform(0.85, 1.1)
        legs = [(x, y - 0.03 * h, 0.06 * h), (x, y - 0.5 * h, 0.10 * h)]
        fill_hull(canvas, legs, any_colour(rng, (0.05, 0.7), (0.15, 0.7)), CROWD)
        body = [
            (x, y - 0.47 * h, 0.11 * h),
            (x - 0.07 * h, y - 0.76 * h, 0.07 * h),
            (x + 0.07 * h, y - 0.76 * h, 0.07 * h),
        ]
        shade_hull(canvas, body, any_colour(rng, (0.1, 0.9), (0.3, 1.0)), CROWD, light)
        fill_hull(canvas, [(x, y - 0.93 * h, 0.085 * h)], hair, CROWD)
        fill_hull(canvas, [(x, y - 0.90 * h, 0.065 * h)], skin, CROWD)


def paint_thing(canvas: Canvas, rng: np.random.Generator, person: Box, scale: float, light: Light) -> None:
    """Paint something in front of the person whose box is given: it hides a part of them."""
    left, top, right, bottom = person
    wide, tall = right - left, bottom - top
    middle = rng.uniform(left, right)
    colour = any_colour(rng, (0.0, 0.8), (0.2, 0.95))
    kind = int(rng.integers(6))
    if kind == 0:  # a crate or a counter before the legs
        half, up = scale * rng.uniform(0.12, 0.30), tall * rng.uniform(0.2, 0.5)
        edges = (middle - half, bottom - up, middle + half, bottom + 0.04 * scale)
        _slab(canvas, edges, colour)
    elif kind == 1:  # a post from top to bottom
        radius = scale * rng.uniform(0.025, 0.05)
        post = [(middle, top - 0.3 * scale, radius), (middle, bottom + 0.05 * scale, radius)]
        shade_hull(canvas, post, colour, THING, light)
    elif kind == 2:  # a bush
        green = (rng.uniform(30, 90), rng.uniform(90, 170), rng.uniform(30, 110))
        for _ in range(int(rng.integers(5, 9))):
            x, y = middle + scale * rng.uniform(-0.2, 0.2), bottom - tall * rng.uniform(-0.03, 0.32)
            leaf = toned(green, rng.uniform(0.8, 1.15))
            shade_hull(canvas, [(x, y, scale * rng.uniform(0.05, 0.10))], leaf, THING, light)
    elif kind == 3:  # a board that hides one side
        side = left if rng.random() < 0.5 else right
        half = wide * rng.uniform(0.15, 0.32)
        _slab(canvas, (side - half, top + tall * rng.uniform(-0.1, 0.45), side + half, bottom + 0.02 * scale), colour)
    elif kind == 4:  # a ball, a balloon, a sign
        y, radius = rng.uniform(top + 0.2 * tall, bottom), scale * rng.uniform(0.07, 0.12)
        shade_hull(canvas, [(middle, y, radius)], colour, THING, light)
    else:  # a rail or a table top with two legs
        y, radius = top + tall * rng.uniform(0.45, 0.8), scale * rng.uniform(0.018, 0.04)
        half = wide * rng.uniform(0.5, 0.9)
        for x in (middle - half, middle + half):
            shade_hull(canvas, [(x, y, radius), (x, bottom + 0.03 * scale, radius)], colour, THING, light)
        shade_hull(canvas, [(middle - half, y, radius), (middle + half, y, radius)], colour, THING, light)


def paint_seat(canvas: Canvas, rng: np.random.Generator, seat: tuple[float, float], floor: float, scale: float) -> None:
    half = scale * rng.uniform(0.08, 0.15)
    x, y = seat
    colour = any_colour(rng, (0.1, 0.7), (0.25, 0.8))
    _slab(canvas, (x - half, y, x + half, max(floor, y + 0.08 * scale)), colour)


def darken_ellipse(canvas: Canvas, x: float, y: float, wide: float, high: float) -> None:
    """Darken an ellipse of the canvas, as a shadow on the floor does; labels stay."""
    left, top = max(int(x - wide), 0), max(int(y - high), 0)
    patch = canvas[top : max(int(y + high) + 1, 0), left : max(int(x + wide) + 1, 0), :3]
    if patch.size == 0:
        return
    rows, columns = np.ogrid[: patch.shape[0], : patch.shape[1]]
    inside = ((columns + left - x) / wide) ** 2 + ((rows + top - y) / high) ** 2 < 1
    patch[inside] = (patch[inside] * 0.62).astype(np.uint8)


def _lines(region: Canvas, rng: np.random.Generator) -> None:
    height, width = region.shape[:2]
    kind = int(rng.integers(4))
    if kind > 2:
        return
    middle = region[height // 2, width // 2, :3] + rng.choice((-1.0, 1.0)) * rng.uniform(8, 30)
    colour = (*np.clip(middle, 0, 255).tolist(), NOTHING)
    step = int(width * rng.uniform(0.06, 0.16)) + 2
    thick = int(rng.integers(1, max(2, step // 3)))
    start = int(rng.integers(step))
    if kind != 1:
        for x in range(start, width, step):  # boards
            cv2.line(region, (x, 0), (x, height), colour, thick)
    if kind != 0:
        for y in range(start, height, step):  # shelves, or with the boards tiles
            cv2.line(region, (0, y), (width, y), colour, thick)


def _stick(canvas: Canvas, rng: np.random.Generator, light: Light, colour: Colour) -> None:
    height, width = canvas.shape[:2]
    x, floor = rng.uniform(0, width), height * rng.uniform(0.55, 1.0)
    tall, radius = height * rng.uniform(0.2, 0.6), height * rng.uniform(0.006, 0.022)
    kind = int(rng.integers(4))
    if kind == 0:  # a lamp: a ball on a post
        shade_hull(canvas, [(x, floor, radius), (x, floor - tall, radius)], colour, NOTHING, light)
        ball = any_colour(rng, (0.0, 0.6), (0.5, 1.0))
        shade_hull(canvas, [(x, floor - tall, radius * rng.uniform(2, 4))], ball, NOTHING, light)
    elif kind == 1:  # a tree
        bark = (rng.uniform(30, 70), rng.uniform(50, 90), rng.uniform(70, 120))
        shade_hull(canvas, [(x, floor, radius * 1.6), (x, floor - tall, radius)], bark, NOTHING, light)
        for _ in range(5):
            leaf = (rng.uniform(30, 80), rng.uniform(80, 150), rng.uniform(30, 90))
            crown = (
                x + tall * rng.uniform(-0.22, 0.22),
                floor - tall * rng.uniform(0.8, 1.2),
                tall * rng.uniform(0.1, 0.2),
            )
            shade_hull(canvas, [crown], leaf, NOTHING, light)
    elif kind == 2:  # jointed sticks in any colour, skin included: limbs without a body
        if rng.random() < 0.4:
            colour = SKINS[int(rng.integers(len(SKINS)))]
        at = np.array((x, floor - tall))
        for _ in range(int(rng.integers(2, 4))):
            to = at + rng.normal(0, 1, 2) * tall * 0.25
            shade_hull(canvas, [(at[0], at[1], radius), (to[0], to[1], radius * 0.8)], colour, NOTHING, light)
            at = to
    else:  # a coat stand: a post with short arms
        shade_hull(canvas, [(x, floor, radius), (x, floor - tall, radius)], colour, NOTHING, light)
        for share in rng.uniform(0.5, 1.0, 3):
            reach = tall * 0.2 * (1 if rng.random() < 0.5 else -1)
            y = floor - tall * share
            shade_hull(
                canvas, [(x, y, radius * 0.7), (x + reach, y - 0.3 * abs(reach), radius * 0.7)], colour, NOTHING, light
            )


def _corners(box: Box) -> list[tuple[float, float, float]]:
    left, top, right, bottom = box
    return [(left, top, 0.0), (right, top, 0.0), (right, bottom, 0.0), (left, bottom, 0.0)]


def _slab(canvas: Canvas, box: Box, colour: Colour) -> None:
    left, top, right, bottom = box
    edge = 0.06 * min(right - left, bottom - top)
    fill_hull(canvas, _corners(box), toned(colour, 0.6), THING)
    fill_hull(canvas, _corners((left + edge, top + edge, right - edge, bottom - edge)), colour, THING)
    fill_hull(canvas, _corners((left + edge, top + edge, right - edge, top + 3 * edge)), toned(colour, 1.15), THING)
