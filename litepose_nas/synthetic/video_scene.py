"""The script of a drawn video: who goes where, what stands in the way, and how the camera moves.

Places are in a space of body heights: X to the right of the view's middle, Z away from the camera. A body at Z is
`focal` / Z pixels of the canvas high, and stands lower in the picture the nearer it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.synthetic import backdrop, paint
from litepose_nas.synthetic.figure import Body, Pose, draw_body
from litepose_nas.synthetic.motion import GaitStyle, draw_gait_style, gestures
from litepose_nas.synthetic.scene import (
    EASY,
    FINE,
    HARD,
    STANDARD,
    SceneConfig,
    draw_size,
    draw_tones,
    paint_background,
)

RATE = 12.0  # frames a second
MARGIN = (0.25, 0.12)  # of the view's width and height: what is painted beyond its borders for the camera to turn to


class VideoConfig(NamedTuple):
    """How videos differ from pictures: who moves how much, and the camera with them."""

    setting: SceneConfig
    go: float  # the share of people who walk or run
    run: float  # of these
    headings: tuple[float, float]  # degrees from the viewer in which they go, to either side
    turns: float  # degrees a second at most
    camera: float  # how far it moves, 1 as a person's does who films another
    shutter: tuple[float, float]  # the share of the time between two frames for which it is open


STANDARD_VIDEO = VideoConfig(
    STANDARD._replace(tall=(0.5, 0.9), aspects=(4 / 3, 16 / 9)), 0.6, 0.15, (20.0, 160.0), 30.0, 1.0, (0.05, 0.6)
)
EASY_VIDEO = VideoConfig(
    EASY._replace(people=(2, 3), tall=(0.5, 0.85), things=0.35, aspects=(4 / 3,)),
    0.5, 0.0, (35.0, 75.0), 10.0, 0.4, (0.05, 0.4),
)  # fmt: skip
HARD_VIDEO = VideoConfig(
    HARD._replace(tall=(0.16, 0.9), people=(2, 9), aspects=(4 / 3, 16 / 9, 3 / 4)),
    0.65, 0.25, (0.0, 180.0), 50.0, 1.6, (0.1, 1.0),
)  # fmt: skip
VIDEO_CONFIGS = {"easy": EASY_VIDEO, "standard": STANDARD_VIDEO, "hard": HARD_VIDEO}


class Route(NamedTuple):
    """A person's way: a part of a circle at one speed. Angles in radians, 0 is towards the viewer."""

    x: float
    z: float
    time: float  # at which it is passed
    heading: float
    turn: float  # radians a second
    speed: float  # body heights a second

    def at(self, time: float) -> tuple[float, float, float]:
        """X, Z and the heading at a time."""
        heading = self.heading + self.turn * (time - self.time)
        if self.speed == 0 or abs(self.turn) < 1e-6:
            way = self.speed * (time - self.time)
            return self.x + way * np.sin(self.heading), self.z - way * np.cos(self.heading), heading
        radius = self.speed / self.turn
        x = self.x + radius * (np.cos(self.heading) - np.cos(heading))
        return float(x), float(self.z - radius * (np.sin(heading) - np.sin(self.heading))), float(heading)


class Role(NamedTuple):
    body: Body
    outfit: paint.Outfit
    tall: float  # times the height of others
    route: Route
    style: GaitStyle | None  # of those who go
    phase: float
    cadence: float  # cycles a second
    keys: tuple[list[Pose], list[float]]  # of those who stay
    seed: int  # of the seat


class Obstacle(NamedTuple):
    x: float
    z: float
    seed: int


class Wave(NamedTuple):
    size: float
    rate: float  # a second
    phase: float


class Camera(NamedTuple):
    """Where the camera looks: sums of waves, in shares of the view's width; zoom as a logarithm."""

    across: tuple[Wave, ...]
    down: tuple[Wave, ...]
    zoom: tuple[Wave, ...]

    def at(self, time: float) -> tuple[float, float, float]:
        """How far it looks to the right and down, and its zoom."""
        x, y, zoom = (
            sum(wave.size * float(np.sin(2 * np.pi * (wave.rate * time + wave.phase))) for wave in waves)
            for waves in self
        )
        return x, y, float(np.exp(zoom))


class Scene(NamedTuple):
    size: tuple[int, int]  # width, height of the view in pixels of the canvas
    world: paint.Canvas  # the background
    roles: list[Role]
    things: list[Obstacle]
    camera: Camera
    focal: float
    eyes: float  # the height of the camera's level in the view
    above: float  # how far the camera is above the ground, in body heights
    pitch: float
    light: backdrop.Light
    tones: NDArray[np.uint8]
    noise: int
    shutter: float  # seconds


def draw_scene(rng: np.random.Generator, size: int, seconds: float, config: VideoConfig) -> Scene:
    setting = config.setting
    width, height = (side * FINE for side in draw_size(rng, size, setting))
    light = backdrop.draw_light(rng)
    above = float(rng.uniform(0.65, 0.95))
    feet = height * rng.uniform(0.97, 1.04)  # of the nearest
    eyes = float(feet - above * setting.tall[1] * height)
    return Scene(
        (width, height),
        _paint_world(rng, width, height, setting, light),
        roles := _draw_roles(rng, width / height, seconds, config),
        [_draw_thing(rng, roles) for _ in range(int(rng.binomial(len(roles), setting.things)))],
        _draw_camera(rng, config.camera),
        float(height),
        eyes,
        above,
        float(rng.uniform(0, 12)),
        light,
        draw_tones(rng, setting),
        int(rng.integers(setting.noise[0], setting.noise[1] + 1)),
        float(rng.uniform(*config.shutter)) / RATE,
    )


def _paint_world(
    rng: np.random.Generator, width: int, height: int, setting: SceneConfig, light: backdrop.Light
) -> paint.Canvas:
    across, down = (1 + 2 * margin for margin in MARGIN)
    world = np.zeros((round(height * down), round(width * across), 4), np.uint8)
    paint_background(world, rng, setting, light)
    return world


def _draw_roles(rng: np.random.Generator, aspect: float, seconds: float, config: VideoConfig) -> list[Role]:
    setting = config.setting
    count = int(rng.integers(setting.people[0], setting.people[1] + 1))
    return [_draw_role(rng, (slot + 0.5) / count, aspect, seconds, config) for slot in rng.permutation(count).tolist()]


def _draw_role(rng: np.random.Generator, slot: float, aspect: float, seconds: float, config: VideoConfig) -> Role:
    setting = config.setting
    body, outfit, tall = draw_body(rng), paint.draw_outfit(rng), float(rng.uniform(0.88, 1.1))
    phase, seed = float(rng.random()), int(rng.integers(2**31))
    far, near = 1 / setting.tall[0], 1 / setting.tall[1]  # Z, as bodies are focal / Z high, and focal is a height
    if rng.random() < config.go:
        style = draw_gait_style(rng, bool(rng.random() < config.run))
        cadence = float(rng.uniform(*style.gait.cadence))
        speed = cadence * style.gait.stride * style.size
        route = _draw_route(rng, aspect, seconds, speed, (near, far), config)
        return Role(body, outfit, tall, route, style, phase, cadence, ([], []), seed)
    z = float(np.exp(rng.uniform(np.log(near), np.log(far))))
    x = (slot - 0.5 + float(rng.normal(0, 0.08))) * aspect * z
    facing = float(rng.normal(0, setting.facing) if setting.facing is not None else _any_facing(rng))
    keys = gestures(rng, facing, seconds, setting.lively, setting.stances, setting.arms)
    return Role(body, outfit, tall, Route(x, z, 0.0, 0.0, 0.0, 0.0), None, phase, 0.0, keys, seed)


def _any_facing(rng: np.random.Generator) -> float:
    kind, near, anywhere = rng.random(), rng.normal(0, 25), rng.uniform(-180, 180)
    return float(near if kind < 0.5 else 180 + near if kind < 0.7 else anywhere)


def _draw_route(
    rng: np.random.Generator,
    aspect: float,
    seconds: float,
    speed: float,
    depths: tuple[float, float],
    config: VideoConfig,
) -> Route:
    """A way that leads through the view at some time, and not too near to the camera at any."""
    near, far = depths
    for attempt in range(30):
        z = float(np.exp(rng.uniform(np.log(near), np.log(far))))
        # Half of them come by at the border: they enter, or leave.
        x = float(rng.choice((-0.5, 0.5)) if rng.random() < 0.5 else rng.uniform(-0.45, 0.45)) * aspect * z
        heading = np.radians(rng.uniform(*config.headings)) * rng.choice((-1, 1))
        turn = np.radians(rng.uniform(-config.turns, config.turns))
        if attempt == 29:
            heading, turn = np.radians(90) * rng.choice((-1, 1)), 0.0
        route = Route(x, z, float(rng.uniform(0.1, 0.9)) * seconds, float(heading), float(turn), speed)
        depth = [route.at(time)[1] for time in np.linspace(0, seconds, 9).tolist()]
        if 0.95 * near <= min(depth) and max(depth) <= 1.15 * far:
            break
    return route


def _draw_thing(rng: np.random.Generator, roles: list[Role]) -> Obstacle:
    """A thing a little nearer than where a person is or comes by."""
    route = roles[int(rng.integers(len(roles)))].route
    return Obstacle(
        route.x + float(rng.normal(0, 0.1)), route.z * float(rng.uniform(0.85, 0.95)), int(rng.integers(2**31))
    )


def _draw_camera(rng: np.random.Generator, much: float) -> Camera:
    def wave(most: float, low: float, high: float) -> Wave:
        return Wave(most * much * float(rng.random()), float(rng.uniform(low, high)), float(rng.random()))

    pan, down, zoom = (wave(most, 0.08, 0.3) for most in (0.10, 0.025, 0.07))
    hands = wave(0.008, 1.0, 2.5), wave(0.006, 1.0, 2.5)
    if rng.random() < 0.3:  # it stands on something
        return Camera((), (), ())
    return Camera((pan, hands[0]), (down, hands[1]), (zoom,))
