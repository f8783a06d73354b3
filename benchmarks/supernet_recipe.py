"""A supernet trained for so many minutes of the processor, and the scores that networks inherit from it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import rows
import torch
from real_pictures import Subject
from trained_alone import CPU, score, scorer_of

from litepose_nas import devices, weights
from litepose_nas.data.loader import batches
from litepose_nas.runs.journal import plain
from litepose_nas.runs.run import ENDED, Run
from litepose_nas.space import Arch, Space
from litepose_nas.supernet import Supernet, extract
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import Recipe, kept
from litepose_nas.train.trainee import SupernetTrainee

TIMED = 12  # steps, spread over the training, whose mean time says how many steps the minutes are
PRETENDED = 120  # steps of the training that those are taken from


class Trained(NamedTuple):
    supernet: Supernet
    steps: int
    seconds: float


def train(space: Space, subject: Subject, recipe: Recipe, minutes: float, seed: int, folder: Path) -> Trained:
    """Train a supernet in a folder, or load the one that was trained there as asked."""
    layout = devices.layout(CPU)
    asked = {"recipe": kept(recipe, space.task), "minutes": minutes, "seed": seed, "pictures": subject.name}
    if (folder / ENDED).exists():
        run = Run.open(folder)
        if {key: run.settings[key] for key in asked} != plain(asked):
            raise SystemExit(f"{folder} was made with other settings; give another name, or delete it")
        (row,) = rows.read(folder / "trained.csv")
        supernet = weights.load_supernet(run.weights / "last.safetensors", memory_format=layout)
        return Trained(supernet, int(row["steps"]), float(row["seconds"]))
    shutil.rmtree(folder, ignore_errors=True)  # what a kill left
    folder.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    supernet = Supernet(space, subject.joints, memory_format=layout)
    task = scorer_of(subject, space, recipe).task

    def trainee_of(steps: int) -> SupernetTrainee:
        return SupernetTrainee(supernet, recipe, steps * recipe.accumulate, seed, task=task)

    steps = max(1, round(60 * minutes / seconds_a_step(trainee_of(PRETENDED), subject, recipe, seed)))
    trainee = trainee_of(steps)

    def stream(start: int) -> Any:
        stop, make = steps * recipe.accumulate, task.train_batch
        return batches(
            subject.split.train, trainee.size, recipe.batch, seed, recipe.augment, start, stop, workers=0,
            make_batch=make,
        )  # fmt: skip

    with Run.create("recipe", settings=asked, out=folder) as run:
        began = time.process_time()
        fit(trainee, stream, run, steps, every=Every(max(1, steps // 50), steps, steps))
        seconds = time.process_time() - began
        weights.save_supernet(supernet, run.weights / "last.safetensors", recipe.pixels)
        rows.append(folder / "trained.csv", {"steps": steps, "seconds": f"{seconds:.1f}"})
        run.end()
    return Trained(supernet, steps, seconds)


def seconds_a_step(trainee: SupernetTrainee, subject: Subject, recipe: Recipe, seed: int) -> float:
    """Return the mean time of steps from all over a training, which leave no trace."""
    spent = 0.0
    for turn in range(-1, TIMED):  # the first warms up
        number = int((max(turn, 0) + 0.5) * PRETENDED * recipe.accumulate / TIMED)
        began = time.process_time()
        batch = trainee.task.train_batch(
            subject.split.train, trainee.size(number), recipe.batch, seed, number, recipe.augment
        )
        trainee.backward(batch.images, batch.joints, batch.masks, number)
        trainee.store.zero_grad()
        spent += time.process_time() - began if turn >= 0 else 0.0
    return spent / TIMED * recipe.accumulate


def inherited(supernet: Supernet, archs: Sequence[Arch], subject: Subject, recipe: Recipe) -> list[dict[str, float]]:
    """Return the scores of networks with the supernet's weights, calibrated, as a search sees them."""
    scorer = scorer_of(subject, supernet.space, recipe)
    return [score(scorer, extract(supernet, arch), arch.input, subject) for arch in archs]
