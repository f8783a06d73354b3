"""Evaluation: what a network finds in whole pictures, and the figures that makes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from litepose_nas import devices
from litepose_nas.data.augment import Matrix, Size, to_files
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.loader import Fitted, Pictures
from litepose_nas.errors import UserError
from litepose_nas.metrics.coco import Scores, coco_ap, read_truth
from litepose_nas.metrics.results import Result
from litepose_nas.pose.people import People
from litepose_nas.pose.task import PicturePeople, Task

Net = Callable[[Tensor], Sequence[Tensor]]


def predict_batches(
    net: Net,
    batches: Iterable[Fitted],
    task: Task,
    flip: bool = False,
    category_id: int = 1,
) -> list[Result]:
    """The people that a network finds in views of pictures; a module predicts in eval mode and gets its own mode back.

    With `flip` the mirrored pictures are looked at as well.
    """
    seen: list[PicturePeople] = []
    with evaluating(net), torch.inference_mode():
        for batch, warps in batches:
            found = find_people(net, batch.images, task, flip)
            boxes = [None] * len(warps) if batch.boxes is None else batch.boxes
            size = (batch.images.shape[-2], batch.images.shape[-1])
            for people, warp, image_id, box in zip(found, warps, batch.image_ids, boxes, strict=True):
                seen.append(in_picture(people, warp, size, image_id, box))
    results: list[Result] = []
    for image in task.gather(seen):
        for person, score in zip(image.keypoints, image.scores, strict=True):
            points = person.ravel().tolist()
            entry = {"image_id": image.image_id, "category_id": category_id, "keypoints": points}
            results.append({**entry, "score": float(score)})
    return results


def in_picture(
    people: People, warp: Matrix, size: Size, image_id: int, box: NDArray[np.float64] | None
) -> PicturePeople:
    """People found in a view of this size, in COCO's pixels of their picture."""
    area = size[0] * size[1] / abs(float(np.linalg.det(warp[:, :2])))
    return PicturePeople(image_id, to_files(people.keypoints, warp), people.scores, box, area)


def find_people(net: Net, images: Tensor, task: Task, flip: bool = False) -> list[People]:
    """The people in each view of a batch, pictures (B, 3, H, W) or clips of them, in pixels of the input."""
    images = devices.beside(net, images)
    outputs = net(images)
    flipped = net(images.flip(-1)) if flip else None
    return task.people(outputs, flipped, (images.shape[-2], images.shape[-1]))


def evaluate(
    net: Net,
    pictures: Pictures,
    task: Task,
    size: Size,
    batch: int = 16,
    flip: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Scores, list[Result]]:
    """A network's ten numbers on pictures, and what it found in them; progress(done, total) counts the pictures."""
    check_joints(task, pictures.dataset)
    truth = read_truth(pictures.dataset)
    views = counted(task.eval_batches(pictures, size, batch), len(truth.image_ids), progress)
    results = predict_batches(net, views, task, flip, truth.category_id)
    return coco_ap(truth, results), results


def counted(batches: Iterable[Fitted], total: int, progress: Callable[[int, int], None] | None) -> Iterator[Fitted]:
    """Yield the batches, and tell how many of so many pictures have been used."""
    done: set[int] = set()
    for fitted in batches:
        yield fitted
        done.update(fitted[0].image_ids)
        if progress:
            progress(len(done), total)


def check_joints(task: Task, dataset: Dataset) -> None:
    """Refuse a dataset whose people have another number of joints than a task."""
    joints = len(dataset.skeleton.names)
    if task.joints != joints:
        raise UserError(
            f"the task has {task.joints} joints and {dataset.annotations} {joints}; "
            "evaluate the network on a dataset with the joints it was trained for"
        )


@contextlib.contextmanager
def evaluating(net: object) -> Iterator[None]:
    """Put a module into eval mode, and afterwards every part of it into the mode it had."""
    modes = [(module, module.training) for module in net.modules()] if isinstance(net, nn.Module) else []
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
