"""Figures of a network on the validation split: COCO's ten numbers through pycocotools."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas import devices, weights
from litepose_nas.data.boxes import boxes_of_file, read_boxes
from litepose_nas.data.loader import Pictures
from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.evaluation import Scores, evaluate, read_truth
from litepose_nas.network import Network
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.task import Task
from litepose_nas.pose.topdown import TopDown
from litepose_nas.target import resolve


class Loaded(NamedTuple):
    """A network with weights, and how its outputs are read."""

    net: Network
    task: Task
    skeleton: Skeleton
    size: tuple[int, int]

    @property
    def topdown(self) -> bool:
        """Whether it sees one person at a time."""
        return isinstance(self.task, TopDown)


def load(target: str, device: str) -> Loaded:
    """Return the network of a .safetensors file; one that does not say its keypoints has COCO's."""
    found = resolve(target)
    if found.weights is None:
        raise UserError(f"{target}: an architecture without weights; name a .safetensors file")
    info = found.subnet.info
    where = devices.pick(device)
    net = devices.place(weights.load(found.weights), where).eval()
    skeleton = _skeleton(info, found.subnet.joints, target)
    joints, pairs = found.subnet.joints, skeleton.flip_pairs
    if found.subnet.arch.space.task == "topdown":
        codec = str(info.get("codec", "plain"))
        return Loaded(net, TopDown(joints, pairs, codec, skeleton.sigmas), skeleton, found.subnet.input)
    cue = info.get("tag_cue", [0.0, 0.0])
    return Loaded(net, BottomUp(joints, pairs, (float(cue[0]), float(cue[1]))), skeleton, found.subnet.input)


def given_boxes(
    loaded: Loaded, source: Source, split: str, boxes: Path | None, least_score: float = 0.0
) -> tuple[Loaded, str]:
    """Return a network that looks into the boxes of a file, if one is given, and where it looks, in words."""
    if not isinstance(loaded.task, TopDown):
        _refuse(boxes)
        return loaded, ""
    if boxes is None:
        return loaded, "true boxes"
    dataset = source.read(split)
    found = read_boxes(boxes, least_score, read_truth(dataset).category_id)
    known = [found[record.image_id] for record in dataset.records if record.image_id in found]
    if not known:
        raise UserError(f"{boxes}: no box is of a picture of {source.name}, {split}; give the boxes of these pictures")
    words = f"{sum(map(len, known))} boxes of {boxes} in {len(known)} pictures, score {least_score:g} or more"
    return loaded._replace(task=loaded.task._replace(boxes=found)), words


def boxes_by_file(
    loaded: Loaded, boxes: Path | None, least_score: float
) -> Callable[[Path], NDArray[np.float64]] | None:
    """Return how the boxes of a picture file are found, if a file of boxes is given."""
    if boxes is None:
        return None
    if not loaded.topdown:
        _refuse(boxes)
    return functools.partial(boxes_of_file, read_boxes(boxes, least_score))


def _refuse(boxes: Path | None) -> None:
    if boxes is not None:
        raise UserError(f"--boxes {boxes}: this network sees whole pictures and needs none; leave it out")


def score(loaded: Loaded, source: Source, split: str, flip: bool) -> tuple[Scores, list[dict[str, Any]], int]:
    """Return the ten numbers, the results behind them, and how many pictures there were."""
    dataset = source.read(split)
    scores, results = evaluate(loaded.net, Pictures(dataset), loaded.task, loaded.size, flip=flip)
    return scores, results, len(dataset.records)


def _skeleton(info: Any, joints: int, where: str) -> Skeleton:
    if "keypoints" in info:
        limbs = [(int(a), int(b)) for a, b in info.get("skeleton", [])]
        pairs = [(int(a), int(b)) for a, b in info["flip_pairs"]] if "flip_pairs" in info else None
        return make_skeleton(info["keypoints"], limbs, info.get("sigmas"), pairs)
    from litepose_nas.data.figure import JOINTS, LIMBS

    if joints != len(JOINTS):
        raise UserError(f"{where}: says nothing of its {joints} keypoints; only files that this program trained do")
    return make_skeleton(JOINTS, LIMBS)


def default_target() -> str:
    """Return the newest of the files that the steps leave in the current folder."""
    for name in ("subnet-finetuned.safetensors", "subnet.safetensors"):
        if Path(name).is_file():
            return name
    raise UserError("no subnet-finetuned.safetensors or subnet.safetensors in this folder; name a .safetensors file")
