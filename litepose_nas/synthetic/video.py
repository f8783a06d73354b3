"""A drawn video, frame by frame: its script is painted at one moment or several, with what is seen of each person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas.synthetic import backdrop, paint
from litepose_nas.synthetic.figure import Figure, Floats, place
from litepose_nas.synthetic.motion import gait_pose, keyframe_pose
from litepose_nas.synthetic.scene import (
    FINE,
    Actor,
    DrawnCrowd,
    add_noise,
    crowd_truth,
    extent_of,
    head_truth,
    joints_truth,
    paint_below,
)
from litepose_nas.synthetic.video_scene import MARGIN, RATE, STANDARD_VIDEO, Obstacle, Scene, VideoConfig, draw_scene

MAX_MOMENTS = 7  # that are averaged for a blurred frame
BLUR_STEP = 2.0  # pixels: the movement between two of these
FEET = 0.026  # radius of a foot


class DrawnFramePerson(NamedTuple):
    """What a frame shows of one person, in its pixels."""

    joints: Floats  # (17, 3): x, y, flag: 0 not labelled, 1 hidden, 2 seen
    neck: tuple[float, float, float]  # the same of where the neck ends below the head
    crown: tuple[float, float, float]  # and of the top of the head
    head: tuple[float, float, float, float]  # left, top, width, height of the head, seen or not
    seen: tuple[float, float, float, float, float]  # left, top, width, height and area of what is seen


class DrawnFrame(NamedTuple):
    image: NDArray[np.uint8]  # (H, W, 3) blue, green, red
    people: list[DrawnFramePerson]  # one for each role, also for those who are not in the frame
    crowd: DrawnCrowd | None


def draw_video(
    rng: np.random.Generator, size: int, frames: int, config: VideoConfig = STANDARD_VIDEO
) -> Iterator[DrawnFrame]:
    """Yield the frames of a new video whose longer side is size pixels."""
    scene = draw_scene(rng, size, frames / RATE, config)
    for frame in range(frames):
        yield _frame(rng, scene, frame / RATE)


class _Moment(NamedTuple):
    actors: list[Actor]
    depths: list[float]
    camera: tuple[float, float, float]


def _frame(rng: np.random.Generator, scene: Scene, time: float) -> DrawnFrame:
    now = _moment(scene, time)
    moves = 0.0
    if scene.shutter:
        ends = [_moment(scene, time + side * scene.shutter / 2) for side in (-1, 1)]
        moves = _largest_move(scene, *ends) / FINE
    count = min(1 + 2 * round(moves / BLUR_STEP / 2), MAX_MOMENTS)
    canvas = _paint(scene, now)
    colours = canvas[..., :3]
    if count > 1:
        total = colours.astype(np.uint16)
        for step in range(count):
            if 2 * step + 1 != count:  # the middle one is painted
                away = ((step + 0.5) / count - 0.5) * scene.shutter
                total += _paint(scene, _moment(scene, time + away))[..., :3]
        colours = (total // count).astype(np.uint8)
    small = cv2.resize(colours, (scene.size[0] // FINE, scene.size[1] // FINE), interpolation=cv2.INTER_AREA)
    image = add_noise(cv2.LUT(small, scene.tones).astype(np.uint8), rng, scene.noise)
    labels = np.ascontiguousarray(canvas[..., 3])
    people = [_truth(labels, number, actor) for number, actor in enumerate(now.actors)]
    return DrawnFrame(image, people, crowd_truth(labels))


def _moment(scene: Scene, time: float) -> _Moment:
    camera = scene.camera.at(time)
    actors, depths = [], []
    for role in scene.roles:
        x, z, heading = role.route.at(time)
        if role.style is None:
            pose = keyframe_pose(*role.keys, time)
        else:
            pose = gait_pose(role.style, role.phase + role.cadence * time, float(np.degrees(heading)))
        figure = place(role.body, pose, scene.pitch)
        scale, feet = _on_screen(scene, camera, x, z)
        actors.append(_standing(figure, scale * role.tall, feet, role.style is None))
        depths.append(z)
    return _Moment(actors, depths, camera)


def _on_screen(
    scene: Scene, camera: tuple[float, float, float], x: float, z: float
) -> tuple[float, tuple[float, float]]:
    """How high a body is at a place on the ground, and where that is on the canvas."""
    width, height = scene.size
    right, down, zoom = camera
    scale = scene.focal / z
    middle = (width * (0.5 + right), height * 0.5 + width * down)
    across, level = width / 2 + x * scale, scene.eyes + scene.above * scale
    return scale * zoom, ((across - middle[0]) * zoom + width / 2, (level - middle[1]) * zoom + height / 2)


def _standing(figure: Figure, scale: float, feet: tuple[float, float], anchored: bool) -> Actor:
    """A figure whose lower foot is on the ground; one that stays where it is stands on that foot."""
    ground = float(max(figure.heels[:, 1].max(), figure.toes[:, 1].max())) + FEET
    anchor = 0.0
    if anchored and figure.pose.stance not in ("sitting", "kneeling"):
        ankles = figure.joints[15:17]
        weight = np.exp((ankles[:, 1] - ankles[:, 1].max()) / 0.04)
        anchor = float((weight * ankles[:, 0]).sum() / weight.sum())
    origin = (feet[0] - anchor * scale, feet[1] - ground * scale)
    low, high = extent_of(figure, scale)
    return Actor(figure, scale, origin, (*(low + origin).tolist(), *(high + origin).tolist()))


def _largest_move(scene: Scene, before: _Moment, after: _Moment) -> float:
    """How far anything that can be seen moves, in pixels of the canvas."""
    width, height = scene.size
    one, other = before.camera, after.camera
    moves = [width * max(np.hypot(other[0] - one[0], other[1] - one[1]), abs(other[2] / one[2] - 1) / 2)]
    for actors in zip(before.actors, after.actors, strict=True):
        start, end = (actor.figure.joints[:, :2] * actor.scale + actor.origin for actor in actors)
        inside = ((end >= 0) & (end < (width, height))).all(axis=1)
        moves += np.linalg.norm(end - start, axis=1)[inside].tolist()
    return float(max(moves))


def _paint(scene: Scene, moment: _Moment) -> paint.Canvas:
    width, height = scene.size
    right, down, zoom = moment.camera
    middle = (width * (0.5 + right + MARGIN[0]), height * (0.5 + MARGIN[1]) + width * down)
    warp = np.array([[zoom, 0, width / 2 - zoom * middle[0]], [0, zoom, height / 2 - zoom * middle[1]]])
    canvas = cv2.warpAffine(scene.world, warp, scene.size, borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    items = [(z, number, -1) for number, z in enumerate(moment.depths)]
    items += [(thing.z, -1, number) for number, thing in enumerate(scene.things)]
    for _, person, number in sorted(items, reverse=True):
        if person >= 0:
            _paint_person(canvas, scene, person, moment.actors[person])
        else:
            _paint_thing(canvas, scene, scene.things[number], moment.camera)
    return canvas


def _paint_person(canvas: paint.Canvas, scene: Scene, number: int, actor: Actor) -> None:
    left, top, right, _ = actor.box
    if right < 0 or left > scene.size[0] or top > scene.size[1]:
        return
    role = scene.roles[number]
    paint_below(canvas, np.random.default_rng(role.seed), actor)
    paint.paint_figure(canvas, actor.figure, role.outfit, number, actor.origin, actor.scale, scene.light)


def _paint_thing(canvas: paint.Canvas, scene: Scene, thing: Obstacle, camera: tuple[float, float, float]) -> None:
    scale, (x, y) = _on_screen(scene, camera, thing.x, thing.z)
    box = (x - 0.2 * scale, y - scale, x + 0.2 * scale, y)
    backdrop.paint_thing(canvas, np.random.default_rng(thing.seed), box, scale, scene.light)  # alike in every frame


def _truth(labels: NDArray[np.uint8], number: int, actor: Actor) -> DrawnFramePerson:
    neck, crown, head = head_truth(labels, number, actor)
    mask = (labels >> 4 == number + 1).astype(np.uint8)
    x, y, wide, high = (side / FINE for side in cv2.boundingRect(mask))
    seen = (x, y, wide, high, cv2.countNonZero(mask) / FINE**2)
    return DrawnFramePerson(joints_truth(labels, number, actor), neck, crown, head, seen)
