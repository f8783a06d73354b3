"""One drawn picture: who stands where, in what order they are painted, and what the finished picture shows of each."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas.synthetic import backdrop, paint
from litepose_nas.synthetic.backdrop import Box
from litepose_nas.synthetic.figure import STANCES, Figure, Floats, draw_body, draw_pose, place

Point = tuple[float, float, float]  # x, y, flag: 0 not labelled, 1 hidden, 2 seen
FINE = 2  # the canvas is this many times finer than the picture: smooth edges without blending labels


class SceneConfig(NamedTuple):
    """How crowded, hidden and disturbed the pictures are; pairs are the ends of a range, shares are probabilities."""

    people: tuple[int, int]
    lively: float  # see draw_pose
    stances: tuple[str, ...]
    arms: tuple[str, ...] | None  # styles of holding them; None: those of the stance
    facing: float | None  # degrees from the viewer's direction, a standard deviation; None: any direction
    tall: tuple[float, float]  # body heights as shares of the picture's height
    things: float  # a person is behind a thing
    cut: float  # a person is cut by the border
    crowd: float
    shapes: tuple[int, int]
    sticks: tuple[int, int]
    muted: bool  # backdrops less colourful than clothes
    noise: tuple[int, int]
    blur: float
    motion: float
    dim: tuple[float, float]  # exposure
    shown_joints: int  # the least that a person shows
    aspects: tuple[float, ...]


STANDARD = SceneConfig(
    people=(2, 4), lively=0.4, stances=tuple(STANCES), arms=None, facing=None,
    tall=(0.52, 0.95), things=0.35, cut=0.25, crowd=0.15, shapes=(2, 7), sticks=(1, 3),
    muted=True, noise=(0, 5), blur=0.0, motion=0.0, dim=(0.8, 1.15), shown_joints=7, aspects=(1.0,),
)  # fmt: skip
HARD = SceneConfig(
    people=(1, 10), lively=1.0, stances=tuple(STANCES), arms=None, facing=None,
    tall=(0.14, 0.95), things=0.45, cut=0.30, crowd=0.35, shapes=(5, 20), sticks=(2, 9),
    muted=False, noise=(0, 24), blur=0.20, motion=0.25, dim=(0.45, 1.3), shown_joints=4, aspects=(1.0, 0.75, 4 / 3),
)  # fmt: skip
# What a small network learns in minutes: people who stand and look at the viewer, with their arms in three ways, before
# calm backdrops. They are large, so others and things hide a lot of them.
EASY = STANDARD._replace(
    stances=("standing",), arms=("hang", "hip", "side"), facing=5.0, tall=(0.75, 0.97), things=0.6, cut=0.0,
    shapes=(1, 4), sticks=(0, 1), crowd=0.1,
)  # fmt: skip
SETTINGS = {"easy": EASY, "standard": STANDARD, "hard": HARD}


class DrawnPerson(NamedTuple):
    """What a picture shows of one person, in its pixels; an integer coordinate is the middle of a pixel."""

    joints: Floats  # (17, 3): x, y, flag: 0 not labelled, 1 hidden, 2 seen
    box: tuple[float, float, float, float]  # left, top, width, height of what is seen, from pixel edges
    area: float
    polygons: list[list[float]]
    stance: str
    facing: float
    neck: Point = (0.0, 0.0, 0.0)  # where the neck ends below the head
    crown: Point = (0.0, 0.0, 0.0)  # the top of the head
    head: Box = (0.0, 0.0, 0.0, 0.0)  # left, top, width, height of the head, seen or not


class DrawnCrowd(NamedTuple):
    mask: NDArray[np.uint8]  # (H, W)
    box: tuple[float, float, float, float]
    area: float


class DrawnPicture(NamedTuple):
    image: NDArray[np.uint8]  # (H, W, 3) blue, green, red
    labels: NDArray[np.uint8]  # (FINE * H, FINE * W), see paint.py
    people: list[DrawnPerson]  # far ones first; the place in this list is the number in the labels
    crowd: DrawnCrowd | None


class Actor(NamedTuple):
    """A figure with its place on the canvas."""

    figure: Figure
    scale: float  # pixels of the canvas to a body height
    origin: tuple[float, float]
    box: tuple[float, float, float, float]  # left, top, right, bottom


def draw_picture(rng: np.random.Generator, size: int, setting: SceneConfig = STANDARD) -> DrawnPicture:
    """A picture whose longer side is size pixels; it is drawn again while a person in it is almost hidden."""
    for _ in range(12):
        picture = _draw_once(rng, size, setting)
        if all((person.joints[:, 2] == 2).sum() >= setting.shown_joints for person in picture.people):
            break
    else:  # small sizes can make this hopeless: keep who can be seen
        seen = [p if (p.joints[:, 2] == 2).any() else p._replace(joints=p.joints * 0) for p in picture.people]
        picture = picture._replace(people=seen)
    return picture


def _draw_once(rng: np.random.Generator, size: int, setting: SceneConfig) -> DrawnPicture:
    width, height = draw_size(rng, size, setting)
    canvas = np.zeros((height * FINE, width * FINE, 4), np.uint8)
    light = backdrop.draw_light(rng)
    paint_background(canvas, rng, setting, light)
    actors = _arrange(rng, canvas.shape[1], canvas.shape[0], setting)
    for number, actor in enumerate(actors):
        _paint_actor(canvas, rng, number, actor, light, setting)
    image, labels = finished(canvas, rng, setting)
    people = [person_truth(labels, number, actor) for number, actor in enumerate(actors)]
    return DrawnPicture(image, labels, people, crowd_truth(labels))


def draw_size(rng: np.random.Generator, size: int, setting: SceneConfig) -> tuple[int, int]:
    """Width and height of a picture whose longer side is `size`."""
    aspect = setting.aspects[int(rng.integers(len(setting.aspects)))]
    return (size, round(size / aspect)) if aspect >= 1 else (round(size * aspect), size)


def paint_background(
    canvas: paint.Canvas, rng: np.random.Generator, setting: SceneConfig, light: backdrop.Light
) -> None:
    horizon = backdrop.paint_backdrop(canvas, rng, setting.muted)
    shapes, sticks = (int(rng.integers(low, high + 1)) for low, high in (setting.shapes, setting.sticks))
    backdrop.paint_clutter(canvas, rng, shapes, sticks, light, setting.muted)
    if rng.random() < setting.crowd:
        backdrop.paint_crowd(canvas, rng, horizon, light)


def _arrange(rng: np.random.Generator, width: int, height: int, setting: SceneConfig) -> list[Actor]:
    count = int(rng.integers(setting.people[0], setting.people[1] + 1))
    low, high = setting.tall
    # Even steps of the logarithm: a picture of many scales, not mostly of large ones.
    heights = np.sort(np.exp(rng.uniform(np.log(low), np.log(high), count))) * height
    pitch = float(rng.uniform(0, 18))
    slots = rng.permutation(count)
    actors: list[Actor] = []
    for scale, slot in zip(heights.tolist(), slots.tolist(), strict=True):
        body = draw_body(rng)
        facing = None if setting.facing is None else float(rng.normal(0, setting.facing))
        pose = draw_pose(rng, facing, setting.lively, setting.stances, setting.arms)
        figure = place(body, pose, pitch)
        options = [_stand(rng, figure, scale, (slot + 0.5) / count, width, height, setting) for _ in range(4)]
        actors.append(min(options, key=lambda actor: sum(_overlap(other.box, actor.box) for other in actors)))
    return actors


def _stand(
    rng: np.random.Generator, figure: Figure, scale: float, slot: float, width: int, height: int, setting: SceneConfig
) -> Actor:
    low, high = extent_of(figure, scale)
    wide, tall = high - low
    x = width * (slot + rng.normal(0, 0.10)) - wide / 2
    x = min(max(x, 0.01 * width), max(0.99 * width - wide, 0.01 * width))
    near = scale / (setting.tall[1] * height)
    bottom = height * (0.985 - rng.uniform(0.2, 0.6) * (1 - near) - rng.uniform(0, 0.06))
    y = max(bottom - tall, min(0.02 * height, 0.98 * height - tall))
    if rng.random() < setting.cut:
        share = rng.uniform(0.12, 0.38)
        side = rng.random()
        if side < 0.5 and near > 0.45:  # the lower border cuts those who stand near
            y = height - tall * (1 - share)
        elif side < 0.6 and near > 0.45:
            y = -tall * share * 0.5
        else:
            x = -wide * share if slot < 0.5 else width - wide * (1 - share)
    origin = (float(x - low[0]), float(y - low[1]))
    return Actor(figure, scale, origin, (float(x), float(y), float(x + wide), float(y + tall)))


def extent_of(figure: Figure, scale: float) -> tuple[Floats, Floats]:
    """The corners of the box around a figure, from its pelvis, with a margin for its limbs' thickness."""
    r = figure.body.head
    head = figure.head[:2]
    ends = np.concatenate((figure.joints, figure.hands, figure.heels, figure.toes))[:, :2]
    points = np.concatenate((ends, (head - 1.1 * r, head + 1.1 * r)))
    return (points.min(axis=0) - 0.03) * scale, (points.max(axis=0) + 0.03) * scale


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    # A quarter hidden is what pictures of people are like; more of it is what to avoid.
    return max(0.0, max(0.0, wide) * max(0.0, high) / smaller - 0.25)


def _paint_actor(
    canvas: paint.Canvas,
    rng: np.random.Generator,
    number: int,
    actor: Actor,
    light: backdrop.Light,
    setting: SceneConfig,
) -> None:
    paint_below(canvas, rng, actor)
    paint.paint_figure(canvas, actor.figure, paint.draw_outfit(rng), number, actor.origin, actor.scale, light)
    if rng.random() < setting.things:
        backdrop.paint_thing(canvas, rng, actor.box, actor.scale, light)


def paint_below(canvas: paint.Canvas, rng: np.random.Generator, actor: Actor) -> None:
    """Paint a person's shadow, and the seat of one who sits."""
    left, _, right, bottom = actor.box
    scale, floor = actor.scale, bottom - 0.02 * actor.scale
    backdrop.darken_ellipse(canvas, (left + right) / 2, floor, 0.5 * (right - left), 0.05 * scale)
    if actor.figure.pose.stance == "sitting":
        backdrop.paint_seat(canvas, rng, (actor.origin[0], actor.origin[1] + 0.03 * scale), floor, scale)


def finished(
    canvas: paint.Canvas, rng: np.random.Generator, setting: SceneConfig
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The picture that a camera takes of a canvas, and the canvas's labels."""
    size = canvas.shape[1] // FINE, canvas.shape[0] // FINE
    small = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return _expose(np.ascontiguousarray(small[..., :3]), rng, setting), np.ascontiguousarray(canvas[..., 3])


def _expose(image: NDArray[np.uint8], rng: np.random.Generator, setting: SceneConfig) -> NDArray[np.uint8]:
    """A picture as a camera would take it: blurred now and then, lighter or darker, with noise."""
    if rng.random() < setting.motion:
        length = int(rng.integers(3, max(4, image.shape[1] // 40)))
        kernel = np.zeros((length, length), np.float32)
        start, end = (0, int(rng.integers(length))), (length - 1, int(rng.integers(length)))
        cv2.line(kernel, start, end, 1.0, 1)
        image = cv2.filter2D(image, -1, kernel / kernel.sum()).astype(np.uint8)
    elif rng.random() < setting.blur:
        side = 2 * int(rng.integers(1, 3)) + 1
        image = cv2.GaussianBlur(image, (side, side), 0).astype(np.uint8)
    image = cv2.LUT(image, draw_tones(rng, setting)).astype(np.uint8)
    return add_noise(image, rng, int(rng.integers(setting.noise[0], setting.noise[1] + 1)))


def draw_tones(rng: np.random.Generator, setting: SceneConfig) -> NDArray[np.uint8]:
    """What a camera makes of each level of each colour, as a table (1, 256, 3)."""
    levels = np.arange(256) * rng.uniform(*setting.dim) * rng.uniform(0.95, 1.05, (3, 1)) + rng.uniform(-8, 8)
    return np.ascontiguousarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8).T[None])


def add_noise(image: NDArray[np.uint8], rng: np.random.Generator, noise: int) -> NDArray[np.uint8]:
    if not noise:
        return image
    grain = rng.integers(-noise, noise + 1, image.shape, dtype=np.int8)
    return np.clip(image.astype(np.int16) + grain, 0, 255).astype(np.uint8)


def person_truth(labels: NDArray[np.uint8], number: int, actor: Actor) -> DrawnPerson:
    pose, joints = actor.figure.pose, joints_truth(labels, number, actor)
    head = head_truth(labels, number, actor)
    return DrawnPerson(joints, *shown_of(labels, number), pose.stance, pose.facing, *head)


def joints_truth(labels: NDArray[np.uint8], number: int, actor: Actor) -> Floats:
    """The joints (17, 3) of the figure with that number on a labelled canvas: x, y, flag."""
    figure = actor.figure
    fine = figure.joints[:, :2] * actor.scale + actor.origin
    height, width = labels.shape
    joints = np.zeros((17, 3))
    columns, rows = np.rint(fine).astype(int).T
    for joint, (x, y) in enumerate(zip(columns.tolist(), rows.tolist(), strict=True)):
        if not (0 <= x < width and 0 <= y < height):
            continue
        if joint < 3 and figure.gaze[2, 2] < -0.2:
            continue  # eyes and nose are not labelled on the back of a head
        part = int(labels[y, x]) - 16 * (number + 1)
        seen = part in paint.PARTS_AT_JOINT[joint] and not _turned_away(figure, joint, part)
        joints[joint] = (*picture_point(fine[joint]), 2 if seen else 1)
    return joints


def head_truth(labels: NDArray[np.uint8], number: int, actor: Actor) -> tuple[Point, Point, Box]:
    """Where the neck ends, the top of the head, and the box of the head of the figure with that number."""
    figure, scale = actor.figure, actor.scale
    radius, up = figure.body.head, figure.gaze[:, 1]
    crown = figure.head + up * (1.05 * radius)
    neck = figure.neck + (figure.head - figure.neck) * 0.35
    points = [
        _point(labels, number, point[:2] * scale + actor.origin, parts)
        for point, parts in ((neck, (paint.HEAD, paint.TORSO)), (crown, (paint.HEAD,)))
    ]
    left, top = picture_point(figure.head[:2] * scale + actor.origin - 1.05 * radius * scale)
    side = 2.1 * radius * scale / FINE
    return points[0], points[1], (left, top, side, side)


def _point(labels: NDArray[np.uint8], number: int, fine: Floats, parts: tuple[int, ...]) -> Point:
    column, row = (round(float(place)) for place in fine)
    if not (0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]):
        return 0.0, 0.0, 0.0
    part = int(labels[row, column]) - 16 * (number + 1)
    return (*picture_point(fine), 2.0 if part in parts else 1.0)


def shown_of(labels: NDArray[np.uint8], number: int) -> tuple[Box, float, list[list[float]]]:
    """Box, area and outlines of what a labelled canvas shows of the figure with that number."""
    mask = (labels >> 4 == number + 1).astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(mask)
    area = cv2.countNonZero(mask) / FINE**2
    box = (left / FINE, top / FINE, wide / FINE, high / FINE)
    found = outlines(mask[top : top + high, left : left + wide], 0.9, 4 * FINE**2, (left, top))
    return box, area, [((corners + 0.5) / FINE).ravel().tolist() for corners in found]


def _turned_away(figure: Figure, joint: int, part: int) -> bool:
    """Whether the body part that shows at a joint's place is its own far side."""
    if joint < 5:
        return bool(
            figure.joints[joint, 2] - figure.head[2] < (-0.15, 0.02, 0.02, -0.2, -0.2)[joint] * figure.body.head
        )
    if part in (paint.TORSO, paint.PELVIS):
        other = joint + 1 if joint % 2 else joint - 1
        half = figure.body.shoulder if joint < 11 else figure.body.hip
        return bool(figure.joints[other, 2] - figure.joints[joint, 2] > 2 * half * 0.75)
    return False


def picture_point(fine: Floats) -> tuple[float, float]:
    """Where a point of the canvas lies in the picture; middles of pixels are integers on both grids."""
    x, y = (fine + 0.5) / FINE - 0.5
    return float(x), float(y)


def outlines(
    mask: NDArray[np.uint8], coarse: float, least_area: float, corner: tuple[int, int] = (0, 0)
) -> list[NDArray[np.int32]]:
    """The corners (N, 2) of each region of a mask that is large enough; `corner` is the mask's own place."""
    if mask.size == 0:
        return []
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=corner)
    simple = [cv2.approxPolyDP(outline, coarse, True)[:, 0].astype(np.int32, copy=False) for outline in found]
    return [corners for corners in simple if len(corners) >= 3 and cv2.contourArea(corners) >= least_area]


def crowd_truth(labels: NDArray[np.uint8]) -> DrawnCrowd | None:
    """The region of a labelled canvas that the far crowd takes, its gaps closed, or None without one."""
    seen = (labels == backdrop.CROWD).astype(np.uint8)
    small = seen[::FINE, ::FINE]
    if not small.any():
        return None
    region = cv2.morphologyEx(np.ascontiguousarray(small), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)).astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(region)
    return DrawnCrowd(region, (float(left), float(top), float(wide), float(high)), float(region.sum()))
