"""A network on a split of a dataset: what it finds, and the figures of the dataset's own metric."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litepose_nas import devices, weights
from litepose_nas.data.annotations import document_of, keypoint_category
from litepose_nas.data.boxes import clipped
from litepose_nas.data.dataset import Dataset, Document
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.loader import Pictures
from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError, nearest
from litepose_nas.inference.batches import check_joints, counted, predict_batches
from litepose_nas.metrics.conditions import PredictionSettings
from litepose_nas.metrics.mpii import write_mpii
from litepose_nas.metrics.reports import METRICS, MetricInput, MetricReport
from litepose_nas.metrics.results import Result, write_coco
from litepose_nas.network import Network
from litepose_nas.pose.make_task import make_task
from litepose_nas.pose.task import Task
from litepose_nas.resolve import resolve
from litepose_nas.steps.common import boxes_for
from litepose_nas.task_kind import TaskKind
from litepose_nas.untrusted.display import short


class SplitResults(NamedTuple):
    """What a network found in the pictures of a split, and what is known of them."""

    dataset: Dataset
    document: Document
    results: list[Result]
    labelled: bool  # anybody is: there is something to judge by
    one_each: bool  # every annotation has a result that names it


class Loaded(NamedTuple):
    """A network with weights, and how its outputs are read."""

    net: Network
    task: Task
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
    arch = found.subnet.arch
    try:
        skeleton = _skeleton(info, found.subnet.joints)
        task = make_task(skeleton, info, arch.space.task, arch.clip_length)
        for key in ("data", "category"):
            if not isinstance(info.get(key, ""), str):
                raise UserError(f"its {key} is {short(info[key])}, and no word; train it again")
    except UserError as error:
        raise UserError(f"{target}: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise UserError(f"{target}: what it says of its keypoints is damaged ({error}); train it again") from error
    return Loaded(net, task, skeleton, found.subnet.input)


def given_boxes(
    loaded: Loaded, source: Source, split: str, boxes: Path | None, least_score: float = 0.0
) -> tuple[Loaded, str]:
    """Return a network that looks into the boxes of a file, if one is given, and where it looks, in words."""
    check_box_score(boxes, least_score)
    kind = loaded.task.kind
    if boxes is None:
        what = "true boxes of key frames" if kind.clips else "true boxes"
        return loaded, what if kind.one_person else "no boxes needed"
    if not kind.once_a_person:
        raise no_boxes(kind, "--boxes", boxes)
    found = boxes_for(source.read(split), f"{source.name}, {split}", boxes, least_score)
    words = f"{sum(map(len, found.values()))} boxes of {boxes} in {len(found)} pictures, score {least_score:g} or more"
    return loaded._replace(task=loaded.task.with_boxes(found)), words


def check_box_score(boxes: Path | None, least_score: float) -> None:
    if least_score and boxes is None:
        raise UserError("--min-box-score: chooses among the boxes of a file; name it with --boxes")


def no_boxes(kind: TaskKind, option: str, path: Path | str) -> UserError:
    return UserError(f"{option} {path}".strip() + f": {kind.why_no_boxes}; leave it out")


def predict_split(
    loaded: Loaded, source: Source, split: str, flip: bool, progress: Callable[[int, int], None] | None = None
) -> SplitResults:
    """Return what a network finds in a split, which may be without people.

    Where MPII is asked for one person each, every box of the annotations is answered, and the results say whose it is.
    """
    dataset = source.read(split, unlabelled=loaded.task.kind.clips)
    document = document_of(dataset)
    kept = {record.image_id for record in dataset.records if record.labelled}  # nothing is found in the others
    images = [image for image in document["images"] if image["id"] in kept]
    document = {**document, "images": images}
    check_joints(loaded.task, dataset)
    labelled = any(len(record.joints) for record in dataset.records)
    if source.split(split).layout == "mpii" and loaded.task.true_boxes:
        results = _one_each(loaded, dataset, document, flip, progress)
        return SplitResults(dataset, document, results, labelled, True)
    if loaded.task.true_boxes and not labelled:
        raise UserError(
            f"{source.name}, {split}: nobody is labelled in these pictures, so there are no true boxes to look into; "
            "give the boxes of a detector with --boxes"
        )
    categories = [category["id"] for category in document["categories"] if category.get("keypoints")]
    views = counted(loaded.task.eval_batches(Pictures(dataset), loaded.size), len(dataset.records), progress)
    category_id = keypoint_category(dataset.annotations, document["categories"])["id"] if categories else 1
    results = predict_batches(loaded.net, views, loaded.task, flip, category_id)
    return SplitResults(dataset, document, results, labelled, False)


def metric_for(seen: SplitResults, source: Source, split: str) -> str:
    """Return the metric in which others give figures of such a dataset."""
    layout = source.split(split).layout
    if layout == "mpii" and not (seen.one_each and any("head_box" in raw for raw in seen.document["annotations"])):
        return "coco"
    return {"crowdpose": "crowdpose", "mpii": "mpii", "posetrack18": "posetrack"}.get(layout, "coco")


def report(seen: SplitResults, metric: str, rule: str, made: PredictionSettings) -> MetricReport:
    if metric not in METRICS:
        raise UserError(f"--metric: {metric!r} is not one; {nearest(metric, METRICS)}")
    dataset = seen.dataset
    skeleton = dataset.skeleton
    given = MetricInput(
        seen.document, dataset.annotations, skeleton.sigmas, seen.results, made, rule, nme_joints=skeleton.nme_joints
    )
    return METRICS[metric](given)


def save(seen: SplitResults, path: Path) -> None:
    """Write what a network found: as MPII's .mat where the name ends so, else as COCO results."""
    if path.suffix.lower() != ".mat":
        write_coco(seen.results, path)
        return
    if not seen.one_each:
        raise UserError(
            f"{path}: a .mat file is for one person each, as a top-down network finds them in MPII's pictures; "
            "let the name end in .json"
        )
    place = {raw["id"]: row for row, raw in enumerate(seen.document["annotations"])}
    joints = np.zeros((len(place), len(seen.dataset.skeleton.names), 2))
    for result in seen.results:
        joints[place[result["annotation_id"]]] = np.reshape(result["keypoints"], (-1, 3))[:, :2]
    write_mpii(joints, path)


def _one_each(
    loaded: Loaded, dataset: Dataset, document: Document, flip: bool, progress: Callable[[int, int], None] | None
) -> list[Result]:
    """Return a result for every annotation, in the order of the pictures; none is taken for a double of another.

    A box that lies outside its picture has nobody in it: all its joints are at 0, 0.
    """
    sizes = {record.image_id: (record.height, record.width) for record in dataset.records}
    boxes: dict[int | str, list[list[float]]] = {}
    owners: dict[int, list[int]] = {}
    for raw in document["annotations"]:
        image_id = raw["image_id"]
        if image_id in sizes and clipped(raw["bbox"], sizes[image_id]) is not None:
            boxes.setdefault(image_id, []).append([*raw["bbox"], 1.0])
            owners.setdefault(image_id, []).append(raw["id"])
    task = loaded.task.with_boxes({image: np.array(rows) for image, rows in boxes.items()}, every=True)
    views = counted(task.eval_batches(Pictures(dataset), loaded.size), len(dataset.records), progress)
    results = predict_batches(loaded.net, views, task, flip)
    waiting = {image_id: iter(ids) for image_id, ids in owners.items()}
    results = [{**result, "annotation_id": next(waiting[result["image_id"]])} for result in results]
    found = {result["annotation_id"] for result in results}
    nothing = {"category_id": 1, "keypoints": [0.0] * (3 * task.joints), "score": 0.0}
    outside = [raw for raw in document["annotations"] if raw["id"] not in found]
    return results + [{"image_id": raw["image_id"], **nothing, "annotation_id": raw["id"]} for raw in outside]


def _skeleton(info: Any, joints: int) -> Skeleton:
    if "keypoints" in info:
        limbs = [(int(a), int(b)) for a, b in info.get("skeleton", [])]
        pairs = [(int(a), int(b)) for a, b in info["flip_pairs"]] if "flip_pairs" in info else None
        found = make_skeleton(info["keypoints"], limbs, info.get("sigmas"), pairs)
        if len(found.names) != joints:
            raise UserError(f"it names {len(found.names)} keypoints, and has {joints}; train it again")
        return found
    coco = known_skeleton("coco")
    if joints != len(coco.names):
        raise UserError(f"it says nothing of its {joints} keypoints; only files that this program trained do")
    return coco


def default_target() -> str:
    """Return the newest of the files that the steps leave in the current folder."""
    for name in ("subnet-finetuned.safetensors", "subnet.safetensors"):
        if Path(name).is_file():
            return name
    raise UserError("no subnet-finetuned.safetensors or subnet.safetensors in this folder; name a .safetensors file")
