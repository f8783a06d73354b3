"""Learning a few pictures by heart: what any task must manage before a figure of it means anything."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

import litepose_nas as ln
from litepose_nas.data.augment import Size
from litepose_nas.data.dataset import Dataset, Record
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.inference.batches import evaluate
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.grouping import Grouping
from litepose_nas.pose.make_task import make_task
from litepose_nas.runs.run import Run
from litepose_nas.space import Arch
from litepose_nas.supernet import calibrate
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import changed, named
from litepose_nas.train.trainee import NetTrainee


def by_heart(dataset: Dataset, arch: Arch, size: Size, steps: int, folder: Path, *how: str) -> float:
    """Train on unchanged pictures with our recipe, and return the AP on these pictures."""
    torch.manual_seed(0)
    word, joints = arch.space.task, len(dataset.skeleton.names)
    recipe = changed(named("default", word), ["batch=8", "weight_decay=0", *how], word)
    task, pictures = make_task(dataset.skeleton, recipe.task_info, word), Pictures(dataset)
    net = ln.build(arch, joints)
    trainee = NetTrainee(net, recipe, size, "cpu", joints, task=task)

    def stream(start: int):
        return batches(pictures, size, recipe.batch, 0, None, start, steps, make_batch=task.train_batch)

    with Run.create("finetune", settings=dataclasses.asdict(recipe), out=folder) as run:
        fit(trainee, stream, run, steps, every=Every(steps // 10, steps, steps))
    whole = max(1, task.items(pictures) // recipe.batch)
    calibrate(net, [task.train_batch(pictures, size, recipe.batch, 0, step, None).images for step in range(whole)])
    if isinstance(task, BottomUp):
        # At the published 0.1 a weak peak of a joint may take the place of the strong one beside it, whose tag is the
        # same: of one network on 16 real pictures the AP is 0.845 there, and 0.956 from 0.3 on.
        task = task._replace(grouping=Grouping(detection_threshold=0.3))
    return evaluate(net, pictures, task, size)[0].ap


def large_people(dataset: Dataset, count: int) -> Dataset:
    """Return the pictures whose smallest person takes up most of them, everybody with two labelled joints or more."""

    def share(record: Record) -> float:
        if not len(record.joints) or ((record.joints[..., 2] > 0).sum(1) < 2).any():
            return 0.0
        return float(min(record.areas)) / max(record.width, record.height) ** 2

    chosen = sorted(dataset.records, key=lambda record: (-share(record), record.image_id))[:count]
    return dataset._replace(records=tuple(chosen))
