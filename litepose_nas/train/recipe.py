"""Recipes: every number of a training in one place, with the published ones under their names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from litepose_nas.data.augment import PUBLISHED, Augment
from litepose_nas.data.pixels import CONVENTIONS, DEFAULT
from litepose_nas.errors import UserError, nearest
from litepose_nas.pose.codecs import CODECS
from litepose_nas.pose.losses import PUSHES, LossSettings
from litepose_nas.pose.temporal import CROPS, KEY
from litepose_nas.task_kind import TaskKind
from litepose_nas.train.sampling import FAIR, RANDOM
from litepose_nas.untrusted.display import short


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are our recipe."""

    batch: int = 16
    accumulate: int = 1  # batches whose gradients make one step
    optimizer: str = "adamw"
    lr: float = 5e-3
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup: float = 0.05  # share of the steps in which the learning rate rises
    drops: tuple[float, ...] = (0.7, 0.96)  # shares of the steps after which `steps` divides it by ten
    clip: float = 1.0  # largest norm of a gradient; 0 does not clip
    sigma: float = 2.0  # of the heatmaps' Gaussians, in their own pixels
    exact: bool = True  # Gaussians around the joint itself; published ones are centred on its pixel
    foreground: float = 20.0
    push: str = "hinge"
    push_weight: float = 0.01
    pull_weight: float = 0.01
    cue: float = 4.0  # added to the tags across the picture's width: a head start in telling people apart
    rotation: float = 30.0
    scale: tuple[float, float] = (0.75, 1.5)
    flip: float = 0.5
    translate: float = 0.1  # to either side, as a share of the input
    colour: float = 0.2  # how far brightness, contrast and saturation go to either side
    half_body: float = 0.0  # probability that a cut-out shows one half of a body
    codec: str = "dark"  # how a joint becomes a heatmap and back; see pose/codecs.py
    joints_weight: bool = False  # wrists, ankles, elbows and knees count more
    crop: str = KEY  # by whose box the later frames of a clip are cut out: the key frame's, or the previous frame's
    pixels: str = DEFAULT  # what a network takes for a picture, a name in data/pixels.py
    ema: float = 0.0  # of single networks: how much of the average is kept each step; 0 takes the last weights
    # of supernets:
    sandwich: bool = True  # widest, smallest and random nets each step; otherwise one random net
    widest_first: float = 0.2  # share of the steps in which only the widest learns
    widest_every: int = 1  # the widest net learns in every n-th step; in the others there is no teacher
    random_nets: int = 2
    sampling: str = RANDOM  # how random nets are drawn; see train/sampling.py
    distill: float = 0.5  # the share of the widest net's answer, against the truth, in what the others learn from

    @property
    def loss(self) -> LossSettings:
        return LossSettings(
            push=self.push,
            push_weight=self.push_weight,
            pull_weight=self.pull_weight,
            foreground=self.foreground,
            tag_cue=(self.cue, 0.0),
            sigma=self.sigma,
            exact=self.exact,
        )

    @property
    def task_info(self) -> dict[str, Any]:
        return {
            "pixels": self.pixels,
            "tag_cue": (self.cue, 0.0),
            "codec": self.codec,
            "joints_weight": self.joints_weight,
            "crop": self.crop,
        }

    @property
    def augment(self) -> Augment:
        return Augment(self.rotation, self.scale, self.translate, self.flip, self.colour, self.half_body)

    def rate(self, step: int, steps: int) -> float:
        rise = max(1, round(self.warmup * steps))
        if step < rise:
            return self.lr * (step + 1) / rise
        done = (step - rise) / max(1, steps - rise)
        if self.schedule == "cosine":
            return self.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        return self.lr * 0.1 ** sum(done >= drop for drop in self.drops)


# As far as it is published; lengths are 2,400 epochs for a supernet and 500 for a network.
LITEPOSE = Recipe(
    optimizer="adam", lr=4e-3, weight_decay=0.0, schedule="steps", warmup=0.0, clip=0.0, exact=False, foreground=0.0,
    push="exp", push_weight=0.001, pull_weight=0.001, cue=0.0,
    translate=PUBLISHED.translate, colour=PUBLISHED.colour, sandwich=False, widest_first=0.0, distill=0.0,
)  # fmt: skip
# Scales are as published; so is the spread of angles, of which 60 % are a clipped Gaussian there, and that of places.
TOPDOWN = Recipe(rotation=40.0, scale=(0.75, 1.25), translate=0.05, half_body=0.3)
# As far as it is published; 210 epochs of batch 512. ViPNAS was trained so, and simple baselines nearly.
VIPNAS = dataclasses.replace(
    TOPDOWN, optimizer="adam", lr=5e-4, weight_decay=0.0, schedule="steps", warmup=0.001, drops=(170 / 210, 200 / 210),
    clip=0.0, foreground=0.0, codec="plain", colour=0.0,
)  # fmt: skip
RECIPES = {
    "bottomup": {"default": Recipe(), "litepose": LITEPOSE},
    "topdown": {"default": TOPDOWN, "vipnas": VIPNAS},
    "temporal": {"default": TOPDOWN, "vipnas": VIPNAS},
}
# Settings that not every task reads: for the others they are neither kept nor taken.
OWN = {
    "bottomup": ("exact", "push", "push_weight", "pull_weight", "cue"),
    "topdown": ("half_body", "codec", "joints_weight"),
    "temporal": ("crop",),
}
READS = {"bottomup": ("bottomup",), "topdown": ("topdown",), "temporal": ("topdown", "temporal")}
# From where to where a setting makes sense, for those that have more of an end than zero.
RANGES = {
    "batch": (1, 100_000), "accumulate": (1, 100_000), "lr": (1e-9, 10), "sigma": (0.1, 100), "rotation": (0, 180),
    "scale": (0.01, 100), "ema": (0, 0.999999), "random_nets": (0, 100), "widest_every": (1, 100_000),
    **dict.fromkeys(("warmup", "drops", "flip", "translate", "colour", "widest_first", "distill", "half_body"), (0, 1)),
}  # fmt: skip
CHOICES = {
    "optimizer": ("adamw", "adam"),
    "schedule": ("cosine", "steps"),
    "push": tuple(PUSHES),
    "codec": tuple(CODECS),
    "crop": CROPS,
    "pixels": tuple(CONVENTIONS),
    "sampling": (RANDOM, FAIR),
}


class Length(NamedTuple):
    """How long a training is: one of the three, or none."""

    steps: int | None = None
    epochs: float | None = None
    hours: float | None = None

    def check(self) -> None:
        given = [f"--{name}" for name, value in self._asdict().items() if value is not None]
        if len(given) > 1:
            raise UserError(f"{' and '.join(given)}: give one of them")


def named(name: str, task: str = "bottomup") -> Recipe:
    if name not in RECIPES[task]:
        others = [other for other, recipes in RECIPES.items() if name in recipes]
        why = f"is one for {TaskKind(others[0]).words} networks" if others else "is not one"
        raise UserError(f"--recipe: {name!r} {why}; {nearest(name, RECIPES[task])}")
    return RECIPES[task][name]


def changed(recipe: Recipe, settings: Iterable[str], task: str = "bottomup") -> Recipe:
    """A recipe with settings of the form key=value, none of which another task alone reads."""
    settings, values = list(settings), {}
    for key in keys(settings):
        for other in OWN:
            if other not in READS[task] and key in OWN[other]:
                raise UserError(
                    f"{key}: only {TaskKind(other).words} networks read it, and this one is {TaskKind(task).words}; "
                    "leave it out"
                )
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"{setting!r}: expected a setting such as lr=0.003; known: {', '.join(fields())}")
        values[key.strip()] = text.strip()
    return from_mapping({**dataclasses.asdict(recipe), **values})


def keys(settings: Iterable[str]) -> tuple[str, ...]:
    """The names in settings of the form key=value."""
    return tuple(setting.partition("=")[0].strip() for setting in settings)


def fields() -> list[str]:
    return [field.name for field in dataclasses.fields(Recipe)]


def kept(recipe: Recipe, task: str) -> dict[str, Any]:
    """The settings that a task reads, as a run keeps them."""
    foreign = {key for other, own in OWN.items() if other not in READS[task] for key in own}
    return {key: value for key, value in dataclasses.asdict(recipe).items() if key not in foreign}


def from_mapping(values: Mapping[str, Any]) -> Recipe:
    """The recipe with these settings, which may be words as in a file or on a command line."""
    defaults = dataclasses.asdict(Recipe())
    out = {}
    for key, value in values.items():
        if key not in defaults:
            raise UserError(f"unknown setting {key!r}; {nearest(key, defaults)}")
        out[key] = _read(key, value, defaults[key])
    return Recipe(**out)


def _read(key: str, value: Any, like: Any) -> Any:
    kind, expected = type(like), {bool: "yes or no", int: "a whole number", float: "a number"}
    if kind is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise UserError(f"{key}={short(value)}: expected numbers with commas between them")
        parts = [part for part in parts if part != ""]
        several = tuple(_read(key, part, 0.0) for part in parts)
        if key == "scale" and (len(several) != 2 or several[0] > several[1]):
            raise UserError(f"{key}={value}: expected two numbers, the smaller one first, such as 0.75,1.5")
        return several
    try:
        if kind is bool:
            read = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]
        else:
            read = kind(value)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(f"{key}={value}: expected {expected.get(kind, 'a word')}") from error
    if key in CHOICES and read not in CHOICES[key]:
        raise UserError(f"{key}={value}: not one of its choices; {nearest(read, CHOICES[key])}")
    least, most = RANGES.get(key, (0, math.inf))
    fits = abs(read) < 2**63 if kind is int else kind is float and math.isfinite(read)
    if kind in (int, float) and not (fits and least <= read <= most):
        raise UserError(f"{key}={value}: expected a number from {least} {f'to {most}' if most < math.inf else 'up'}")
    return read
