"""How a figure moves: gaits that repeat, and gestures that flow from one drawn pose into the next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from litepose_nas.synthetic.figure import STANCES, Pose, clip, draw_pose

_LIMIT_NAMES = {
    **{key: f"shoulder_{key}" for key in ("raise", "out", "roll")},
    **{key: f"neck_{key}" for key in ("turn", "nod", "tilt")},
}
PLANTED = ("sitting", "kneeling")  # stances whose legs stay where they are
# those that flow into others
FLOWING = ("standing", "spread", "cheering", "reaching", "bending", "squatting", "kicking")


class Gait(NamedTuple):
    """One way of going; angles in degrees, lengths in body heights."""

    stride: float  # the way of one cycle, two steps
    cadence: tuple[float, float]  # cycles a second
    thigh: tuple[float, float]  # the middle and the swing of the hip's angle
    knee: tuple[float, float]  # the give at landing, the lift of the swing
    push: float  # of the foot as it leaves the ground
    arm: float  # swing
    elbow: tuple[float, float]
    bend: float


WALK = Gait(0.72, (0.65, 1.05), (6.0, 23.0), (13.0, 52.0), 18.0, 24.0, (14.0, 10.0), 3.0)
RUN = Gait(1.20, (1.15, 1.50), (14.0, 40.0), (28.0, 85.0), 28.0, 38.0, (85.0, 15.0), 12.0)


class GaitStyle(NamedTuple):
    """What one figure keeps while it goes: its own way of holding itself."""

    gait: Gait
    size: float  # of its movements, about 1
    busy: int | None  # the arm that is held (0 left, 1 right), as `pose` has it, while the other swings
    pose: Pose  # a calm pose: neck, held arm, and how far arms and feet are spread


def draw_gait_style(rng: np.random.Generator, running: bool) -> GaitStyle:
    pose = draw_pose(rng, 0.0, 0.0, ("walking",), ("wave", "bent", "hip", "hang"))
    busy = int(rng.integers(2)) if rng.random() < 0.25 else None
    return GaitStyle(RUN if running else WALK, float(rng.uniform(0.8, 1.15)), busy, pose)


def gait_pose(style: GaitStyle, phase: float, facing: float) -> Pose:
    """The pose at a phase of the cycle, 0 to 1 and again; at 0 the left foot lands."""
    gait, size, held = style.gait, style.size, style.pose
    swing = float(np.cos(2 * np.pi * phase))
    arms = []
    for side, sign in ((0, -1.0), (1, 1.0)):  # an arm goes with the other side's leg
        if side == style.busy:
            shake = 12 * float(np.sin(2 * np.pi * phase))
            arms.append(_within({**held.arms[side], "roll": held.arms[side]["roll"] + shake}))
        else:
            forward = sign * swing * gait.arm * size
            elbow = gait.elbow[0] + gait.elbow[1] * (1 + sign * swing) / 2
            arms.append(_within({"raise": forward, "out": 8.0, "roll": -12.0, "elbow": elbow}))
    legs = tuple(_leg(gait, size, (phase + shift) % 1.0) for shift in (0.0, 0.5))
    trunk = {"bend": gait.bend, "lean": 2.0 * float(np.sin(2 * np.pi * phase)), "twist": -7.0 * swing * size}
    neck = {**held.neck, "turn": held.neck["turn"] * 0.6 + 4.0 * swing, "nod": held.neck["nod"] * 0.5}
    return Pose("walking", facing, _within(trunk), _within(neck), (arms[0], arms[1]), (legs[0], legs[1]))


def gestures(
    rng: np.random.Generator,
    facing: float,
    seconds: float,
    lively: float = 1.0,
    stances: Collection[str] = tuple(STANCES),
    arms: tuple[str, ...] | None = None,
) -> tuple[list[Pose], list[float]]:
    """Poses of one figure that stays where it is, and when it takes each; the last is at `seconds` or later."""
    first = draw_pose(rng, facing, lively, [name for name in stances if name != "walking"], arms)
    keys, times = [first], [-float(rng.uniform(0, 0.6))]
    planted = first.stance in PLANTED
    others = (first.stance,) if planted else tuple(name for name in stances if name in FLOWING)
    while times[-1] < seconds:
        turned = facing + float(rng.normal(0, 12))
        pose, last = draw_pose(rng, turned, 1.0 if planted else lively, others, arms), keys[-1]
        if planted:  # the trunk may only turn: the legs hang on it
            trunk = {**last.trunk, "twist": pose.trunk["twist"]}
            pose = pose._replace(facing=facing, legs=last.legs, trunk=trunk)
        elif rng.random() < 0.5:  # arms move more often than the whole body does
            pose = pose._replace(stance=last.stance, legs=last.legs)
        elif rng.random() < 0.4:
            pose = pose._replace(trunk=last.trunk)
        keys.append(pose)
        times.append(times[-1] + float(rng.uniform(0.45, 1.1)))
    return keys, times


def keyframe_pose(keys: Sequence[Pose], times: Sequence[float], time: float) -> Pose:
    """The pose between two keys; a movement starts and ends gently, as people's do."""
    after = int(np.searchsorted(times, time, side="right"))
    if after == 0:
        return keys[0]
    if after == len(keys):
        return keys[-1]
    share = (time - times[after - 1]) / (times[after] - times[after - 1])
    # The smoothest way between two rests, of least jerk: see Flash and Hogan 1985.
    gentle = share**3 * (10 - 15 * share + 6 * share**2)
    return blend(keys[after - 1], keys[after], float(gentle))


def blend(one: Pose, other: Pose, share: float) -> Pose:
    """A mix of two poses, angle by angle; limits hold, for they hold at either end."""

    def mix(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
        return {key: a[key] + (b[key] - a[key]) * share for key in a}

    return Pose(
        one.stance if share < 0.5 else other.stance,
        one.facing + (other.facing - one.facing) * share,
        mix(one.trunk, other.trunk),
        mix(one.neck, other.neck),
        (mix(one.arms[0], other.arms[0]), mix(one.arms[1], other.arms[1])),
        (mix(one.legs[0], other.legs[0]), mix(one.legs[1], other.legs[1])),
    )


def _leg(gait: Gait, size: float, phase: float) -> dict[str, float]:
    raised = gait.thigh[0] + gait.thigh[1] * size * float(np.cos(2 * np.pi * phase))
    knee = 4 + gait.knee[0] * _bump(phase, 0.13, 0.10) + gait.knee[1] * size * _bump(phase, 0.73, 0.14)
    ankle = gait.push * _bump(phase, 0.60, 0.10)
    return {
        "raise": clip("hip_raise", raised),
        "out": 2.0,
        "roll": 6.0,
        "knee": clip("knee", knee),
        "ankle": clip("ankle", ankle),
    }


def _bump(phase: float, middle: float, width: float) -> float:
    gap = (phase - middle + 0.5) % 1.0 - 0.5
    return float(np.exp(-0.5 * (gap / width) ** 2))


def _within(angles: dict[str, float]) -> dict[str, float]:
    """Angles of a trunk, a neck or an arm inside the limits of a healthy body."""
    return {key: clip(_LIMIT_NAMES.get(key, key), value) for key, value in angles.items()}
