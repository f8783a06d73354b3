"""The words of a dataset YAML that say what its joints are, checked, as a skeleton."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from litepose_nas.data.skeleton import (
    MAX_JOINTS,
    MAX_NAME,
    OTHER_SIGMA,
    Skeleton,
    make_skeleton,
    same_joints,
    sigmas_of,
)
from litepose_nas.errors import AssumedWarning, UserError, nearest
from litepose_nas.untrusted import yaml_text
from litepose_nas.untrusted.display import short
from litepose_nas.untrusted.opening import read_text

SKELETONS = Path(__file__).parent / "skeletons"
JOINT_KEYS = (
    *("keypoints", "flip_pairs", "skeleton", "sigmas", "nme_joints"),
    *("kpt_shape", "flip_idx", "kpt_names", "kpt_oks_sigmas"),  # as YOLO-pose says it
)


def read_tree(path: Path) -> dict[str, Any]:
    try:
        tree = yaml_text.load(read_text(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a 13th month
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected a mapping such as `path: DIR`, got {type(tree).__name__}")
    return tree


def write_tree(path: Path, tree: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
    path.write_text(text, encoding="utf-8")


def known_names() -> tuple[str, ...]:
    """The names of the datasets that need no YAML of the user's own."""
    return tuple(sorted(path.stem for path in SKELETONS.glob("*.yaml")))


def known_tree(name: str) -> dict[str, Any]:
    if name not in known_names():
        raise UserError(f"no dataset called {name!r}: {nearest(name, known_names())}")
    return read_tree(SKELETONS / f"{name}.yaml")


@functools.cache
def known_skeleton(name: str) -> Skeleton:
    tree = known_tree(name)
    of_another = tree["keypoints"]
    if isinstance(of_another, str):
        return known_skeleton(of_another)
    limbs = [(int(a), int(b)) for a, b in tree["skeleton"]]
    return make_skeleton(of_another, limbs, tree["sigmas"])


@functools.cache
def skeleton_named(names: tuple[str, ...]) -> Skeleton | None:
    """The skeleton of the known dataset that has these joints in this order, with the spelling asked for."""
    for name in known_names():
        skeleton = known_skeleton(name)
        if same_joints(skeleton.names, names):
            return skeleton._replace(names=names)
    return None


def skeleton_in(tree: Mapping[str, Any], where: str) -> Skeleton | None:
    """The skeleton a dataset YAML describes, None where it leaves that to its annotation files."""
    names = _names(tree, where)
    if names is None:
        for key in ("flip_pairs", "skeleton", "sigmas", "nme_joints"):
            if key in tree:
                raise UserError(f"{where}: `{key}` without `keypoints`; list the names of the joints as well")
        return None
    known = skeleton_named(names)
    limbs = _limbs(tree["skeleton"], names, where) if "skeleton" in tree else known.limbs if known else ()
    pairs = _pairs(tree, names, where)
    try:
        made = make_skeleton(names, limbs, _sigmas(tree, names, known, where), pairs)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    return made._replace(nme_joints=_nme_joints(tree["nme_joints"], names, where)) if "nme_joints" in tree else made


def skeleton_tree(skeleton: Skeleton) -> dict[str, Any]:
    """What a dataset YAML says of a skeleton, by the names of its joints."""
    names = skeleton.names
    ends = {"nme_joints": [names[joint] for joint in skeleton.nme_joints]} if skeleton.nme_joints else {}
    return {
        "keypoints": list(names),
        "flip_pairs": [[names[a], names[b]] for a, b in skeleton.flip_pairs],
        "skeleton": [[names[a], names[b]] for a, b in skeleton.limbs],
        "sigmas": list(skeleton.sigmas),
        **ends,
    }


def _names(tree: Mapping[str, Any], where: str) -> tuple[str, ...] | None:
    words = tree.get("keypoints")
    if isinstance(words, str):
        return known_skeleton(words).names
    shape = tree.get("kpt_shape")
    if shape is not None and not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)):
        raise UserError(f"{where}: kpt_shape: expected [joints, 2 or 3], got {short(shape)}")
    if words is None and "kpt_names" in tree:
        of_class = tree["kpt_names"]
        words = next(iter(of_class.values()), None) if isinstance(of_class, Mapping) else of_class
    if words is None and shape is not None:
        if not 1 <= shape[0] <= MAX_JOINTS:
            raise UserError(f"{where}: kpt_shape: {shape[0]} joints; expected 1 to {MAX_JOINTS}")
        coco = known_skeleton("coco").names
        words = list(coco) if shape[0] == len(coco) else [f"point_{number}" for number in range(shape[0])]
    if words is None:
        return None
    if not isinstance(words, list) or not 1 <= len(words) <= MAX_JOINTS or not all(_is_word(w) for w in words):
        raise UserError(f"{where}: keypoints: expected a list of names or the name of a dataset, got {short(words)}")
    if shape is not None and shape[0] != len(words):
        raise UserError(f"{where}: kpt_shape says {shape[0]} joints and the names are {len(words)}; let them agree")
    return tuple(str(word) for word in words)


def _is_word(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= MAX_NAME


def _pairs(tree: Mapping[str, Any], names: tuple[str, ...], where: str) -> list[tuple[int, int]] | None:
    if tree.get("flip_pairs") not in (None, "auto"):
        return _both(tree["flip_pairs"], names, f"{where}: flip_pairs")
    order = tree.get("flip_idx")
    if order is None:
        return None
    if not isinstance(order, list) or sorted(map(repr, order)) != sorted(map(repr, range(len(names)))):
        raise UserError(f"{where}: flip_idx: expected each of 0 to {len(names) - 1} once, got {short(order, 80)}")
    crooked = [index for index, other in enumerate(order) if order[other] != index]
    if crooked:
        raise UserError(
            f"{where}: flip_idx: joint {crooked[0]} becomes {order[crooked[0]]}, which does not become {crooked[0]}; "
            "two mirrorings must give the picture back"
        )
    return [(index, other) for index, other in enumerate(order) if index < other]


def _limbs(value: Any, names: tuple[str, ...], where: str) -> list[tuple[int, int]]:
    pairs = _both(value, names, f"{where}: skeleton", past=1)
    flat = [end for pair in pairs for end in pair]
    if len(names) not in flat:
        return pairs
    if 0 in flat:
        raise UserError(f"{where}: skeleton: joints are counted from 0 to {len(names) - 1}, but {len(names)} is named")
    warnings.warn(
        f"{where}: skeleton: joint {len(names)} is named, so joints are counted from 1 there",
        AssumedWarning,
        stacklevel=2,
    )
    return [(a - 1, b - 1) for a, b in pairs]


def _nme_joints(value: Any, names: tuple[str, ...], where: str) -> tuple[int, int]:
    (ends,) = _both([value], names, f"{where}: nme_joints")
    if ends[0] == ends[1]:
        raise UserError(f"{where}: nme_joints: {names[ends[0]]} twice; name two joints, such as the outer eye corners")
    return ends


def _both(value: Any, names: tuple[str, ...], where: str, past: int = 0) -> list[tuple[int, int]]:
    """Pairs of joints, written as names or as numbers, as numbers."""
    if not isinstance(value, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in value):
        raise UserError(f"{where}: expected a list of pairs of joints, got {short(value)}")
    pairs = []
    for pair in value:
        ends = [_joint(end, names, where, past) for end in pair]
        pairs.append((ends[0], ends[1]))
    return pairs


def _joint(value: Any, names: tuple[str, ...], where: str, past: int) -> int:
    if isinstance(value, str) and value in names:
        return names.index(value)
    if type(value) is int and 0 <= value < len(names) + past:
        return value
    if isinstance(value, str):
        raise UserError(f"{where}: no joint called {short(value)}; {nearest(value, names)}")
    raise UserError(f"{where}: {short(value, 40)} is no joint; write names, or numbers from 0 to {len(names) - 1}")


def _sigmas(
    tree: Mapping[str, Any], names: tuple[str, ...], known: Skeleton | None, where: str
) -> Sequence[float] | None:
    value = tree.get("sigmas", tree.get("kpt_oks_sigmas", "auto"))
    if value in ("auto", None):
        return known.sigmas if known else sigmas_of(names)
    if _is_number(value):
        return [float(value)] * len(names)
    if not isinstance(value, list) or not all(_is_number(number) for number in value):
        raise UserError(
            f"{where}: sigmas: expected auto, a number for all joints, or a list of one for each, got {short(value)}; "
            f"{OTHER_SIGMA} suits most"
        )
    return [float(number) for number in value]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30
