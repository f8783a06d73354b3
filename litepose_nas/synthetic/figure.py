"""An articulated figure: its proportions, the angles its joints allow, and where they put the joints in space.

Directions in the figure's own frame are x to its left, y up, z ahead. What leaves this file is in the viewer's frame:
x to the right, y DOWN as in pictures, z towards the viewer; a figure that looks at the viewer has its left hand at the
right of the picture. Lengths are in body heights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ranges = Mapping[str, tuple[float, float]]

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip

# Degrees a healthy joint reaches: no style and no jitter leaves them.
LIMITS: Ranges = {
    "bend": (-20, 95), "lean": (-25, 25), "twist": (-35, 35),
    "neck_turn": (-65, 65), "neck_nod": (-35, 40), "neck_tilt": (-20, 20),
    "shoulder_raise": (-50, 178), "shoulder_out": (-30, 120), "shoulder_roll": (-85, 90), "elbow": (0, 145),
    "hip_raise": (-28, 120), "hip_out": (-12, 50), "hip_roll": (-25, 40), "knee": (0, 140), "ankle": (-20, 35),
}  # fmt: skip

# raise: forward and up, out: sideways, roll: about the bone (positive turns the bent forearm away from the body).
ARMS: Mapping[str, Ranges] = {
    "hang": {"raise": (-18, 18), "out": (4, 18), "roll": (-40, 20), "elbow": (2, 30)},
    "swing": {"raise": (-45, 50), "out": (4, 14), "roll": (-25, 5), "elbow": (10, 80)},
    "hip": {"raise": (-30, -8), "out": (35, 52), "roll": (-85, -62), "elbow": (85, 112)},
    "bent": {"raise": (-5, 35), "out": (5, 25), "roll": (-60, 20), "elbow": (70, 125)},
    "ahead": {"raise": (60, 105), "out": (-15, 20), "roll": (-30, 20), "elbow": (0, 55)},
    "side": {"raise": (-10, 25), "out": (65, 105), "roll": (-20, 40), "elbow": (0, 40)},
    "wave": {"raise": (-10, 25), "out": (75, 105), "roll": (65, 90), "elbow": (65, 115)},
    "up": {"raise": (140, 178), "out": (-5, 35), "roll": (-30, 30), "elbow": (0, 50)},
    "reach": {"raise": (20, 140), "out": (0, 60), "roll": (-40, 40), "elbow": (0, 60)},
    "head": {"raise": (125, 150), "out": (15, 40), "roll": (-60, -30), "elbow": (95, 130)},
}
LEGS: Mapping[str, Ranges] = {
    "stand": {"raise": (-6, 10), "out": (0, 12), "roll": (0, 22), "knee": (0, 12), "ankle": (-5, 5)},
    "apart": {"raise": (-8, 20), "out": (12, 35), "roll": (0, 30), "knee": (0, 35), "ankle": (-10, 10)},
    "front": {"raise": (18, 45), "out": (0, 6), "roll": (-5, 10), "knee": (2, 45), "ankle": (-10, 10)},
    "rear": {"raise": (-26, -8), "out": (0, 6), "roll": (-5, 10), "knee": (12, 60), "ankle": (5, 30)},
    "kick": {"raise": (40, 95), "out": (0, 25), "roll": (0, 20), "knee": (0, 90), "ankle": (-10, 30)},
    "sit": {"raise": (75, 98), "out": (2, 24), "roll": (-5, 20), "knee": (65, 105), "ankle": (-10, 15)},
    "squat": {"raise": (60, 110), "out": (8, 35), "roll": (0, 25), "knee": (80, 135), "ankle": (-20, 0)},
    "kneel": {"raise": (-5, 12), "out": (0, 12), "roll": (0, 10), "knee": (88, 105), "ankle": (20, 35)},
}
TRUNKS: Mapping[str, Ranges] = {
    "upright": {"bend": (-6, 10), "lean": (-5, 5), "twist": (-12, 12)},
    "loose": {"bend": (-10, 25), "lean": (-16, 16), "twist": (-30, 30)},
    "bent": {"bend": (35, 90), "lean": (-10, 10), "twist": (-20, 20)},
    "aslant": {"bend": (-15, 15), "lean": (-25, 25), "twist": (-25, 25)},
}


class Stance(NamedTuple):
    """One way to hold oneself: how often it is drawn, whether it is calm, and the styles of its parts."""

    weight: float
    calm: bool
    trunk: tuple[str, ...]
    legs: tuple[str, str]
    arms: tuple[str, ...]


STANCES: Mapping[str, Stance] = {
    "standing": Stance(
        4, True, ("upright", "loose"), ("stand", "stand"), ("hang", "hang", "hip", "bent", "wave", "head")
    ),
    "spread": Stance(2, True, ("loose", "aslant"), ("apart", "apart"), ("side", "up", "wave", "reach", "hip", "bent")),
    "walking": Stance(3, True, ("upright", "loose"), ("front", "rear"), ("swing", "swing", "bent", "hang")),
    "sitting": Stance(3, True, ("upright", "loose"), ("sit", "sit"), ("hang", "bent", "ahead", "reach", "head")),
    "cheering": Stance(2, True, ("upright", "loose"), ("stand", "apart"), ("up", "up", "wave", "reach")),
    "reaching": Stance(2, False, ("loose", "aslant"), ("stand", "front"), ("reach", "ahead", "up", "bent")),
    "bending": Stance(2, False, ("bent",), ("stand", "front"), ("ahead", "hang", "reach")),
    "squatting": Stance(1, False, ("loose",), ("squat", "squat"), ("ahead", "bent", "reach", "hang")),
    "kicking": Stance(1, False, ("loose", "aslant"), ("kick", "stand"), ("side", "swing", "reach", "bent")),
    "kneeling": Stance(1, False, ("upright", "loose"), ("kneel", "sit"), ("bent", "hang", "ahead", "reach")),
}


class Body(NamedTuple):
    """The proportions of one figure: bone lengths, half widths and thicknesses in body heights."""

    head: float  # radius
    neck: float
    torso: float
    shoulder: float  # half the distance between the joints
    hip: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shin: float
    foot: float
    stout: float  # multiplies every thickness


class Pose(NamedTuple):
    """The angles of one figure in degrees; pairs are (left, right)."""

    stance: str
    facing: float  # 0 looks at the viewer, 90 towards the right of the picture
    trunk: dict[str, float]
    neck: dict[str, float]
    arms: tuple[dict[str, float], dict[str, float]]
    legs: tuple[dict[str, float], dict[str, float]]


class Figure(NamedTuple):
    """A posed body in the viewer's frame: COCO's 17 joints and the further points that drawing needs."""

    body: Body
    pose: Pose
    joints: Floats  # (17, 3)
    neck: Floats  # (3,) where the neck leaves the shoulders
    head: Floats  # (3,) the middle of the skull
    hands: Floats  # (2, 3) the ends of the hands
    heels: Floats  # (2, 3)
    toes: Floats  # (2, 3)
    gaze: Floats  # (3, 3) columns: the head's left, up and ahead
    chest: Floats  # (3, 3) columns: the chest's left, up and ahead


def draw_body(rng: np.random.Generator) -> Body:
    """Proportions between a tall adult's and a child's."""
    child = max(0.0, float(rng.uniform(-1.6, 1.0)))  # most figures are adults
    long = 1 - 0.12 * child
    vary = rng.uniform(0.94, 1.06, 6)
    return Body(
        head=(0.074 + 0.018 * child) * vary[0],
        neck=0.035,
        torso=0.285 * vary[1],
        shoulder=0.112 * vary[2] * (1 - 0.05 * child),
        hip=0.058 * vary[3],
        upper_arm=0.168 * long * vary[4],
        forearm=0.145 * long * vary[4],
        hand=0.055,
        thigh=0.240 * long * vary[5],
        shin=0.235 * long * vary[5],
        foot=0.105,
        stout=float(rng.uniform(0.95, 1.35)),
    )


def draw_pose(
    rng: np.random.Generator,
    facing: float | None = None,
    lively: float = 1.0,
    stances: Collection[str] = tuple(STANCES),
    arms: tuple[str, ...] | None = None,
) -> Pose:
    """A random pose inside LIMITS, in one of some stances, with arms as the stance has them or in other styles.

    The share lively of the figures take any of them and, unless a facing is given, look anywhere; the others hold a
    calm stance and mostly look at the viewer or away.
    """
    calm = bool(rng.random() >= lively)
    names = [name for name in STANCES if name in stances and (STANCES[name].calm or not calm)]
    weights = np.array([STANCES[name].weight for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    stance = STANCES[name]
    kind, near, anywhere = rng.random(), rng.normal(0, 25), rng.uniform(-180, 180)
    if facing is None:
        front, back = (0.60, 0.85) if calm else (0.35, 0.55)
        facing = float(near if kind < front else 180 + near if kind < back else anywhere)
    trunk = _draw(rng, TRUNKS[_one_of(rng, stance.trunk)], {})
    neck = {
        "turn": clip("neck_turn", rng.normal(0, 22)),
        "nod": clip("neck_nod", rng.normal(4, 10) - 0.4 * trunk["bend"]),  # people look where they go
        "tilt": clip("neck_tilt", rng.normal(0, 6)),
    }
    order = (0, 1) if rng.random() < 0.5 else (1, 0)
    styles = stance.arms if arms is None else arms
    arm_style = _one_of(rng, styles)
    arm_styles = (arm_style, arm_style if rng.random() < 0.35 else _one_of(rng, styles))
    shoulder = {"raise": "shoulder_raise", "out": "shoulder_out", "roll": "shoulder_roll"}
    hip = {"raise": "hip_raise", "out": "hip_out", "roll": "hip_roll"}
    both = tuple(_draw(rng, ARMS[arm_styles[i]], shoulder) for i in order)
    legs = tuple(_draw(rng, LEGS[stance.legs[i]], hip) for i in order)
    if name == "bending":  # the arms of a bent trunk fall towards the ground, not towards the knees
        both = tuple({**arm, "raise": clip("shoulder_raise", arm["raise"] + 0.5 * trunk["bend"])} for arm in both)
    return Pose(name, facing, trunk, neck, (both[0], both[1]), (legs[0], legs[1]))


def place(body: Body, pose: Pose, camera_pitch: float = 0.0) -> Figure:
    """The posed figure seen by a camera that looks down by that many degrees; its pelvis is the origin."""
    facing = _about_y(pose.facing)
    bend = pose.trunk["bend"]
    # A bend is shared: the pelvis follows a third of it, so the back stays long and the seat moves back.
    pelvis = facing @ _about_z(0.3 * pose.trunk["lean"]) @ _about_x(0.3 * bend)
    chest = facing @ _about_z(pose.trunk["lean"]) @ _about_x(bend) @ _about_y(pose.trunk["twist"])
    gaze = chest @ _about_y(pose.neck["turn"]) @ _about_x(pose.neck["nod"]) @ _about_z(pose.neck["tilt"])

    down, ahead, up, left = _DOWN, _AHEAD, _UP, _LEFT
    neck = chest @ (up * body.torso)
    head = neck + chest @ (up * (body.neck * 0.6)) + gaze @ (up * (body.head * 1.15) + ahead * (body.head * 0.15))
    joints = np.empty((17, 3))
    hands, heels, toes = np.empty((2, 3)), np.empty((2, 3)), np.empty((2, 3))
    r = body.head
    joints[0] = head + gaze @ np.array((0.0, -0.20, 1.0)) * r
    for side, sign in ((0, 1.0), (1, -1.0)):
        joints[1 + side] = head + gaze @ np.array((0.38 * sign, 0.12, 0.90)) * r
        joints[3 + side] = head + gaze @ np.array((0.97 * sign, -0.05, -0.02)) * r
        arm, leg = pose.arms[side], pose.legs[side]
        shoulder = neck + chest @ (left * (sign * body.shoulder) - up * 0.018)
        turn = chest @ _about_z(sign * arm["out"]) @ _about_x(-arm["raise"]) @ _about_y(sign * arm["roll"])
        elbow = shoulder + turn @ down * body.upper_arm
        fore = turn @ _about_x(-arm["elbow"]) @ down
        wrist = elbow + fore * body.forearm
        joints[5 + side], joints[7 + side], joints[9 + side] = shoulder, elbow, wrist
        hands[side] = wrist + fore * body.hand
        hip = pelvis @ (left * (sign * body.hip))
        turn = pelvis @ _about_z(sign * leg["out"]) @ _about_x(-leg["raise"]) @ _about_y(sign * leg["roll"])
        knee = hip + turn @ down * body.thigh
        lower = turn @ _about_x(leg["knee"])
        ankle = knee + lower @ down * body.shin
        joints[11 + side], joints[13 + side], joints[15 + side] = hip, knee, ankle
        foot = lower @ _about_x(leg["ankle"])
        heels[side] = ankle + foot @ (down * 0.025 - ahead * 0.018)
        toes[side] = ankle + foot @ (down * 0.034 + ahead * (body.foot - 0.018))
    view = _FLIP_Y @ _about_x(camera_pitch)

    def seen(points: Floats) -> Floats:
        return points @ view.T

    return Figure(
        body,
        pose,
        seen(joints),
        seen(neck),
        seen(head),
        seen(hands),
        seen(heels),
        seen(toes),
        view @ gaze,
        view @ chest,
    )


_LEFT, _UP, _AHEAD = np.eye(3)
_DOWN = -_UP
_FLIP_Y = np.diag((1.0, -1.0, 1.0))


def _about_x(degrees: float) -> Floats:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(((1, 0, 0), (0, c, -s), (0, s, c)))


def _about_y(degrees: float) -> Floats:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(((c, 0, s), (0, 1, 0), (-s, 0, c)))


def _about_z(degrees: float) -> Floats:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(((c, -s, 0), (s, c, 0), (0, 0, 1)))


def _one_of(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def clip(name: str, degrees: float) -> float:
    """An angle inside the limits of a healthy joint."""
    low, high = LIMITS[name]
    return float(min(max(degrees, low), high))


def _draw(rng: np.random.Generator, ranges: Ranges, limit_names: Mapping[str, str]) -> dict[str, float]:
    return {key: clip(limit_names.get(key, key), rng.uniform(*ranges[key])) for key in ranges}
