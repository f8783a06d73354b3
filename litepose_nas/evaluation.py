"""Evaluation: what a network finds in whole pictures, judged by pycocotools, the judge of every AP that is printed."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn

from litepose_nas.data import coco
from litepose_nas.data.augment import HALF, Matrix, Size, invert
from litepose_nas.data.coco import Dataset
from litepose_nas.data.loader import Fitted, Pictures
from litepose_nas.errors import UserError, nearest
from litepose_nas.pose.decode import DivergedError, People
from litepose_nas.pose.task import Seen, Task

Net = Callable[[Tensor], Sequence[Tensor]]
Result = dict[str, Any]  # image_id, category_id, keypoints (x, y, value after each other; COCO's pixels), score
DIVERGED = ("raise", "zero")


class Scores(NamedTuple):
    """COCO's ten numbers, in its order; -1 where there is nobody to find."""

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_medium: float
    ar_large: float


class Truth(NamedTuple):
    """What pycocotools compares with: the labelled people of some pictures of an annotation file."""

    coco: COCO
    image_ids: tuple[int, ...]
    category_id: int
    sigmas: tuple[float, ...]


class Bootstrap(NamedTuple):
    """An AP, the middle 95 % of the APs of pictures drawn again with replacement, and all of those."""

    ap: float
    low: float
    high: float
    samples: NDArray[np.float64]


Source = Dataset | Truth | str | os.PathLike[str]


def read_truth(source: Source, image_ids: Collection[int] | None = None) -> Truth:
    """Return the truth of a dataset's pictures (those it still has after a split) or of an annotation file.

    Annotations without an area get 0.53 of their box; all are numbered anew, since pycocotools loses number 0.
    """
    if isinstance(source, Truth):
        return source if image_ids is None else source._replace(image_ids=_known(source, image_ids, "the truth"))
    path = source.annotations if isinstance(source, Dataset) else Path(source)
    document = coco.document_of(source) if isinstance(source, Dataset) else coco.read_document(path)
    category = coco.keypoint_category(path, document["categories"])
    if isinstance(source, Dataset):
        sigmas, ids = source.skeleton.sigmas, [record.image_id for record in source.records]
    else:
        sigmas, ids = coco.skeleton_of(path, category).sigmas, sorted(image["id"] for image in document["images"])
    kept = set(ids) if image_ids is None else set(image_ids)
    people = [a for a in document["annotations"] if a["category_id"] == category["id"] and a["image_id"] in kept]
    index = COCO()
    index.dataset = {
        "images": [{"id": image["id"]} for image in document["images"]],
        "categories": [category],
        "annotations": [_annotation(path, raw, number, len(sigmas)) for number, raw in enumerate(people, 1)],
    }
    with _quiet():
        index.createIndex()
    truth = Truth(index, tuple(ids), category["id"], sigmas)
    return truth if image_ids is None else truth._replace(image_ids=_known(truth, image_ids, str(path)))


def coco_ap(source: Source, results: Sequence[Result], image_ids: Collection[int] | None = None) -> Scores:
    """Return the ten numbers of results against a truth; results of other pictures do not count."""
    with _quiet():
        judge = _judged(read_truth(source, image_ids), results)
        judge.accumulate()
        judge.summarize()
    return Scores(*(float(value) for value in judge.stats))


def ten_lines(scores: Scores) -> str:
    """Return the ten lines in which pycocotools prints them."""
    kinds = [(title, short) for title, short in (("Average Precision", "(AP)"), ("Average Recall", "(AR)"))]
    columns = [("0.50:0.95", "all"), ("0.50", "all"), ("0.75", "all"), ("0.50:0.95", "medium"), ("0.50:0.95", "large")]
    rows = [(*kind, *column) for kind in kinds for column in columns]
    return "\n".join(
        f" {title:<18} {short} @[ IoU={oks:<9} | area={area:>6} | maxDets= 20 ] = {score:0.3f}"
        for (title, short, oks, area), score in zip(rows, scores, strict=True)
    )


def bootstrap_ap(
    source: Source,
    results: Sequence[Result],
    image_ids: Collection[int] | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Bootstrap:
    """Return the AP and how far other pictures of the same kind would have moved it.

    Two networks judged with the same seed and pictures meet the same draws: subtract their samples to compare them.
    """
    truth = read_truth(source, image_ids)
    count = len(truth.image_ids)
    rng = np.random.default_rng(seed)
    with _quiet():
        judge = _judged(truth, results, areas=1)
        of_image = judge.evalImgs
        # A picture may be drawn twice, so the drawn ones are numbered by their places.
        judge.params.imgIds = judge._paramsEval.imgIds = list(range(count))
        ap = _accumulated(judge)
        samples = np.empty(resamples)
        for turn in range(resamples):
            judge.evalImgs = [of_image[place] for place in rng.integers(count, size=count)]
            samples[turn] = _accumulated(judge)
    low, high = np.quantile(samples, [0.025, 0.975]).tolist()
    return Bootstrap(ap, low, high, samples)


def predict_batches(
    net: Net,
    batches: Iterable[Fitted],
    task: Task,
    flip: bool = False,
    category_id: int = 1,
    amp: torch.dtype | None = None,
) -> list[Result]:
    """Return whom a network finds in views of pictures; a module predicts in eval mode and gets its own mode back.

    With `flip` the mirrored pictures are looked at as well; `amp` is the precision of autocast.
    """
    seen: list[Seen] = []
    with evaluating(net), torch.inference_mode():
        for batch, warps in batches:
            found = find_people(net, batch.images, task, flip, amp)
            boxes = [None] * len(warps) if batch.boxes is None else batch.boxes
            size = (batch.images.shape[2], batch.images.shape[3])
            for people, warp, image_id, box in zip(found, warps, batch.image_ids, boxes, strict=True):
                seen.append(see(people, warp, size, image_id, box))
    results: list[Result] = []
    for image in task.gather(seen):
        for person, score in zip(image.keypoints, image.scores, strict=True):
            points = person.ravel().tolist()
            entry = {"image_id": image.image_id, "category_id": category_id, "keypoints": points}
            results.append({**entry, "score": float(score)})
    return results


def see(people: People, warp: Matrix, size: Size, image_id: int, box: NDArray[np.float64] | None) -> Seen:
    """Return people found in a view of this size in COCO's pixels of their picture."""
    area = size[0] * size[1] / abs(float(np.linalg.det(warp[:, :2])))
    return Seen(image_id, to_files(people.keypoints, warp), people.scores, box, area)


def find_people(
    net: Net, images: Tensor, task: Task, flip: bool = False, amp: torch.dtype | None = None
) -> list[People]:
    """Return the people in each view of a batch (B, 3, H, W), in pixels of the input."""
    weight = next(net.parameters(), None) if isinstance(net, nn.Module) else None
    device = images.device if weight is None else weight.device
    images = images.to(device)
    with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
        outputs = net(images)
        flipped = net(images.flip(-1)) if flip else None
    return task.people(outputs, flipped, (images.shape[2], images.shape[3]))


def evaluate(
    net: Net,
    pictures: Pictures,
    task: Task,
    size: Size,
    batch: int = 16,
    flip: bool = False,
    image_ids: Collection[int] | None = None,
    amp: torch.dtype | None = None,
    diverged: str = "raise",
) -> tuple[Scores, list[Result]]:
    """Return a network's ten numbers on pictures, and what it found in them.

    A network whose outputs are not numbers is an error, or with diverged="zero" one that finds nobody.
    """
    if diverged not in DIVERGED:
        raise UserError(f"diverged is {diverged!r}: {nearest(diverged, DIVERGED)}")
    joints = len(pictures.dataset.skeleton.names)
    if task.joints != joints:
        raise UserError(
            f"the task has {task.joints} joints and {pictures.dataset.annotations} {joints}; "
            "evaluate the network on a dataset with the joints it was trained for"
        )
    truth = read_truth(pictures.dataset, image_ids)
    try:
        views = task.eval_batches(pictures, size, batch, image_ids)
        results = predict_batches(net, views, task, flip, truth.category_id, amp)
    except DivergedError:
        if diverged == "raise":
            raise
        results = []
    return coco_ap(truth, results), results


def to_files(keypoints: NDArray[np.float32], warp: Matrix) -> NDArray[np.float64]:
    """Return people (P, J, 3) found in a network's input in COCO's pixels of the picture; missing joints stay zero."""
    back = invert(warp)
    moved = keypoints[..., :2].astype(np.float64) @ back[:, :2].T + back[:, 2] - HALF
    return np.concatenate([moved, keypoints[..., 2:]], axis=-1) * (keypoints[..., 2:] != 0)


@contextlib.contextmanager
def evaluating(net: object) -> Iterator[None]:
    """Put a module into eval mode and give every part of it its own mode back afterwards."""
    modes = [(module, module.training) for module in net.modules()] if isinstance(net, nn.Module) else []
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _annotation(path: Path, raw: dict[str, Any], number: int, joints: int) -> dict[str, Any]:
    where = f"{path}: annotation {raw.get('id')}"
    box = coco.box_of(where, raw)
    points = coco.points_of(where, raw, joints)
    return {
        "id": number,
        "image_id": raw["image_id"],
        "category_id": raw["category_id"],
        "keypoints": raw.get("keypoints") or points.ravel().tolist(),
        "num_keypoints": raw.get("num_keypoints", int((points[:, 2] > 0).sum())),
        "bbox": list(box),
        "area": coco.area_of(where, raw, box),
        "iscrowd": int(raw.get("iscrowd", 0)),
    }


def _known(truth: Truth, image_ids: Collection[int], where: str) -> tuple[int, ...]:
    unknown = set(image_ids) - set(truth.image_ids)
    if unknown:
        raise UserError(
            f"{where} has no image {min(unknown)} ({len(unknown)} ids are unknown); choose among its images"
        )
    return tuple(sorted(set(image_ids)))


def _judged(truth: Truth, results: Sequence[Result], areas: int | None = None) -> COCOeval:
    """Return pycocotools' evaluation of each picture, for its first so many ranges of areas."""
    wanted = 3 * len(truth.sigmas)
    for result in results:
        if result["image_id"] not in truth.coco.imgs:
            raise UserError(
                f"a result is for image {result['image_id']}, which the annotations do not list; "
                "give the results of these pictures"
            )
        if len(result["keypoints"]) != wanted:
            raise UserError(
                f"a result for image {result['image_id']} has {len(result['keypoints'])} numbers in 'keypoints', "
                f"and {len(truth.sigmas)} joints need {wanted}; give results with the joints of the annotations"
            )
    inside = set(truth.image_ids)
    copies = [dict(result) for result in results if result["image_id"] in inside]  # pycocotools writes into them
    if copies:
        found = truth.coco.loadRes(copies)
    else:  # it cannot load nothing
        found = COCO()
        found.dataset = {**truth.coco.dataset, "annotations": []}
        found.createIndex()
    judge = COCOeval(truth.coco, found, "keypoints")
    judge.params.imgIds = list(truth.image_ids)
    judge.params.catIds = [truth.category_id]
    judge.params.kpt_oks_sigmas = np.array(truth.sigmas)
    judge.params.areaRng, judge.params.areaRngLbl = judge.params.areaRng[:areas], judge.params.areaRngLbl[:areas]
    judge.evaluate()
    return judge


def _accumulated(judge: COCOeval) -> float:
    judge.accumulate()
    precision = judge.eval["precision"]
    known = precision[precision > -1]
    return float(known.mean()) if known.size else -1.0


def _quiet() -> contextlib.redirect_stdout[io.StringIO]:
    return contextlib.redirect_stdout(io.StringIO())
