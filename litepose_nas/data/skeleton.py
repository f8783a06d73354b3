"""What a dataset means by its joints: their names, which are mirror images, which are joined, how exact a label is."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from litepose_nas.errors import AssumedWarning, UserError
from litepose_nas.untrusted.display import short, some

# COCO's spread of human labels around each joint, as a share of the root of a person's area; left and right are alike.
_COCO_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089,
}  # fmt: skip
OTHER_SIGMA = 0.05
MAX_JOINTS, MAX_LIMBS = 1000, 10_000
MAX_NAME = 100  # letters of a joint's name
_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}


class Skeleton(NamedTuple):
    """The joints of a dataset, in the order of its annotations."""

    names: tuple[str, ...]
    mirror: tuple[int, ...]  # mirror[j]: the joint that j becomes in a mirrored picture, itself for those in the middle
    limbs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]
    nme_joints: tuple[int, int] | None = None  # their distance is a subject's size in the NME

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs of joints that change places in a mirrored picture."""
        return tuple((a, b) for a, b in enumerate(self.mirror) if a < b)


def make_skeleton(
    names: Sequence[str],
    limbs: Sequence[tuple[int, int]] = (),
    sigmas: Sequence[float] | None = None,
    flip_pairs: Sequence[tuple[int, int]] | None = None,
) -> Skeleton:
    """A skeleton; unless given, mirror pairs follow left and right in the names, and sigmas follow COCO."""
    known = tuple(names)
    if not known:
        raise UserError("a skeleton without joints: list the names of the keypoints")
    if odd := [name for name in known if not isinstance(name, str)]:
        raise UserError(f"a joint is called {short(odd[0])}, and no word; give it a name")
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise UserError(f"joint names must differ, but {some(twice)} appears more than once")
    if len(limbs) > MAX_LIMBS:
        raise UserError(f"{len(limbs):,} limbs; expected {MAX_LIMBS:,} at most")
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
    mirror = mirror_of(known) if flip_pairs is None else _mirror_of_pairs(known, flip_pairs)
    return Skeleton(known, mirror, pairs, tuple(float(sigma) for sigma in sigmas))


def mirror_of(names: Sequence[str]) -> tuple[int, ...]:
    """Where each joint goes when left and right change places, and warn of sides without a partner.

    Left and right are words of the names: left_hip, "Right Shoulder", outer-left-knee, leftWrist, l_ankle.
    """
    place = {_words(name): index for index, name in enumerate(names)}
    wanted = [place.get(_mirrored(_words(name)), -1) for name in names]
    # Two names of the same words, such as Left-hip and left_hip, have one partner: only a pair that agrees is one.
    mirror = tuple(other if other >= 0 and wanted[other] == index else index for index, other in enumerate(wanted))
    alone = [name for index, name in enumerate(names) if mirror[index] == index and {"left", "right"} & {*_words(name)}]
    if alone:
        warnings.warn(
            f"no partner on the other side for {some(alone)}: mirrored pictures will not exchange it",
            AssumedWarning,
            stacklevel=3,
        )
    return mirror


def sigmas_of(names: Sequence[str]) -> tuple[float, ...]:
    """COCO's sigma for the joints it has, and 0.05 with a warning for the others."""
    sigmas = [_COCO_SIGMAS.get(_sideless(name)) for name in names]
    unknown = [name for name, sigma in zip(names, sigmas, strict=True) if sigma is None]
    if unknown:
        warnings.warn(
            f"no standard sigma for {some(unknown)}: {OTHER_SIGMA} is used; give sigmas to choose",
            AssumedWarning,
            stacklevel=3,
        )
    return tuple(OTHER_SIGMA if sigma is None else sigma for sigma in sigmas)


def side(name: str) -> str:
    """Return "left", "right", or nothing: the side of the body that a joint's name speaks of."""
    words = _words(name)
    for word, letter in (("left", "l"), ("right", "r")):
        if word in words or letter in (words[0], words[-1]):
            return word
    return ""


def same_joints(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two lists name the same joints in the same order, however they are spelt."""
    return [_words(name) for name in some] == [_words(name) for name in others]


def _mirror_of_pairs(names: tuple[str, ...], pairs: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    mirror = list(range(len(names)))
    for a, b in pairs:
        if not (0 <= a < len(names) and 0 <= b < len(names)) or a == b:
            raise UserError(f"joints {a} and {b} are no flip pair: give two joints from 0 to {len(names) - 1}")
        if mirror[a] != a or mirror[b] != b:
            twice = names[a] if mirror[a] != a else names[b]
            raise UserError(f"{twice} stands in two flip pairs; a joint has one mirror image")
        mirror[a], mirror[b] = b, a
    return tuple(mirror)


def _words(name: str) -> tuple[str, ...]:
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return tuple(word for word in re.split(r"[\s_.\-]+", parts) if word) or (name,)


def _mirrored(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of the partner; l and r count at either end only, and nothing is left where nothing turns."""
    ends = (0, len(words) - 1)
    turned = tuple(
        _OTHER_SIDE.get(word, word) if len(word) > 1 or place in ends else word for place, word in enumerate(words)
    )
    return turned if turned != words else ()


def _sideless(name: str) -> str:
    return "_".join(word for word in _words(name) if word not in _OTHER_SIDE)
