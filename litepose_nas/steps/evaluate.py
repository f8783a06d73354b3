"""Figures of a network on the validation split: COCO's ten numbers through pycocotools."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import devices, weights
from litepose_nas.data.loader import Pictures
from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.evaluation import evaluate
from litepose_nas.metrics.coco import Scores
from litepose_nas.network import Network
from litepose_nas.pose.decode import BottomUp
from litepose_nas.target import resolve


class Loaded(NamedTuple):
    """A network with weights, and how its outputs are read."""

    net: Network
    task: BottomUp
    skeleton: Skeleton
    size: tuple[int, int]


def load(target: str, device: str) -> Loaded:
    """Return the network of a .safetensors file; one that does not say its keypoints has COCO's."""
    found = resolve(target)
    if found.weights is None:
        raise UserError(f"{target}: an architecture without weights; name a .safetensors file")
    info = found.subnet.info
    where = devices.pick(device)
    net = devices.place(weights.load(found.weights), where).eval()
    skeleton = _skeleton(info, found.subnet.joints, target)
    cue = info.get("tag_cue", [0.0, 0.0])
    task = BottomUp(found.subnet.joints, skeleton.flip_pairs, (float(cue[0]), float(cue[1])))
    return Loaded(net, task, skeleton, found.subnet.input)


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
