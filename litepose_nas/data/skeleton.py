"""What a dataset means by its joints: their names, which are mirror images, which are joined, how exact a label is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

from litepose_nas.errors import UserError

# COCO's spread of human labels around each joint, as a share of the root of a person's area; left and right are alike.
_COCO_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
OTHER_SIGMA = 0.05
_SIDES = {"left_": "right_", "right_": "left_"}


class Skeleton(NamedTuple):
    """The joints of a dataset, in the order of its annotations."""

    names: tuple[str, ...]
    mirror: tuple[int, ...]  # mirror[j]: the joint that j becomes in a mirrored picture, itself for those in the middle
    limbs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs of joints that change places in a mirrored picture."""
        return tuple((a, b) for a, b in enumerate(self.mirror) if a < b)


def make_skeleton(
    names: Sequence[str], limbs: Sequence[tuple[int, int]] = (), sigmas: Sequence[float] | None = None
) -> Skeleton:
    """Return a skeleton; mirror pairs follow left_/right_ in the names, and sigmas follow COCO unless given."""
    known = tuple(names)
    if not known:
        raise UserError("a skeleton without joints: list the names of the keypoints")
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise UserError(f"joint names must differ, but {', '.join(twice)} appears more than once")
    for a, b in limbs:
        if not (0 <= a < len(known) and 0 <= b < len(known)):
            raise UserError(f"a limb joins joints {a} and {b}, but the skeleton has joints 0 to {len(known) - 1}")
    if sigmas is None:
        sigmas = sigmas_of(known)
    if len(sigmas) != len(known):
        raise UserError(f"{len(sigmas)} sigmas for {len(known)} joints: give one for each, in the order of the names")
    bad = [name for name, sigma in zip(known, sigmas, strict=True) if not 0 < sigma < float("inf")]
    if bad:
        raise UserError(f"the sigma of {bad[0]} is not a positive number")
    pairs = tuple((int(a), int(b)) for a, b in limbs)
    return Skeleton(known, mirror_of(known), pairs, tuple(float(sigma) for sigma in sigmas))


def mirror_of(names: Sequence[str]) -> tuple[int, ...]:
    """Return where each joint goes when left and right change places, and warn of sides without a partner."""
    place = {name.lower(): index for index, name in enumerate(names)}
    mirror, alone = [], []
    for index, name in enumerate(names):
        partner = _other_side(name.lower())
        mirror.append(place.get(partner, index))
        if partner not in place:
            alone.append(name)
    if alone:
        warnings.warn(
            f"no partner on the other side for {', '.join(alone)}: mirrored pictures will not exchange it", stacklevel=3
        )
    return tuple(mirror)


def sigmas_of(names: Sequence[str]) -> tuple[float, ...]:
    """Return COCO's sigma for the joints it has, and 0.05 with a warning for the others."""
    sigmas = [_COCO_SIGMAS.get(_sideless(name.lower())) for name in names]
    unknown = [name for name, sigma in zip(names, sigmas, strict=True) if sigma is None]
    if unknown:
        warnings.warn(
            f"no standard sigma for {', '.join(unknown)}: {OTHER_SIGMA} is used; give sigmas to choose", stacklevel=3
        )
    return tuple(OTHER_SIGMA if sigma is None else sigma for sigma in sigmas)


def _other_side(name: str) -> str:
    for side, other in _SIDES.items():
        if name.startswith(side):
            return other + name[len(side) :]
    return name


def _sideless(name: str) -> str:
    for side in _SIDES:
        if name.startswith(side):
            return name[len(side) :]
    return name
