"""What the trainings of supernets and of single networks share."""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from litepose_nas import devices
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.errors import UserError
from litepose_nas.inference import previews
from litepose_nas.report import run_page
from litepose_nas.report.refresh import PageRefresher
from litepose_nas.runs import speed
from litepose_nas.runs.run import ENV, Run
from litepose_nas.runs.speed import SpeedRow
from litepose_nas.search.ranking import MUTE_AP
from litepose_nas.steps.common import Data
from litepose_nas.train.loop import Check, Every, Progress, fit
from litepose_nas.train.recipe import Length, Recipe
from litepose_nas.train.trainee import Trainee

SAMPLED_STEPS = 64  # steps, whose mean work stands for that of a training


class Planned(Protocol):
    """What a training is before it begins; `settings` is what its run keeps."""

    @property
    def settings(self) -> Mapping[str, Any]: ...


Training = TypeVar("Training", bound=Planned)


def begin_or_resume(
    verb: str, folder: Path, plan: Callable[[], Training], load: Callable[[Run], Training]
) -> tuple[Run, Training]:
    """Resume the run in a folder, or begin it there."""
    if (folder / ENV).is_file():
        run = Run.resume(folder)
        return run, load(run)
    shutil.rmtree(folder, ignore_errors=True)  # what a kill left while the run was made
    training = plan()
    return Run.create(verb, settings=training.settings, out=folder), training


def run_training(
    run: Run, trainee: Trainee, data: Data, settings: Mapping[str, Any], every: Every, check: Check,
    loaders: int | None, report: Callable[[Progress], None] | None = None,
    tick: Callable[[int, int], None] | None = None, **how: Any,
) -> None:  # fmt: skip
    """Train on the training part of the data; `loaders` None: as many threads as suit the device.

    The run's page is written now and then.
    """
    recipe, device, task = trainee.recipe, trainee.store.flat.device, trainee.task
    seed, steps = settings["seed"], settings["steps"]
    threads = devices.loaders(device) if loaders is None else loaders

    def stream(start: int) -> Any:
        return batches(
            data.split.train, trainee.size, recipe.batch, seed, recipe.augment, start, steps * recipe.accumulate,
            workers=threads, make_batch=task.train_batch,
        )  # fmt: skip

    if not (run.images / "train.jpg").exists():
        first = task.train_batch(data.split.train, trainee.size(0), recipe.batch, seed, 0, recipe.augment)
        previews.show_batch(first, data.skeleton, recipe.sigma, run.images / "train.jpg")
    refresh = PageRefresher(lambda seconds: run_page.write(run, seconds), run.log)

    def told(p: Progress) -> None:
        speed.append(run.folder, SpeedRow(p.step, p.images_per_second, p.waiting, p.left))
        if report:
            report(p)

    def ticked(done: int, total: int) -> None:
        refresh()
        if tick:
            tick(done, total)

    precision = devices.precision(settings["amp"], device)
    fit(
        trainee, stream, run, steps, every=every, precision=precision, check=check, report=told, tick=ticked, **how
    )  # fmt: skip


def check_options(length: Length, device: str, amp: str) -> None:
    """Refuse what cannot be, before any picture is read or drawn."""
    length.check()
    devices.precision(amp, devices.pick(device))


def seconds_a_step(trainee: Trainee, pictures: Pictures, recipe: Recipe, seed: int, steps: int) -> float:
    """How long a step takes on average, from three that leave no trace, of which the first only warms up.

    Steps differ by the networks and the resolution that are drawn, so it is the time for their work that counts.
    """
    times, late = [], (steps - 1, steps - 2, steps - 3)  # the first steps of a supernet are shorter
    before = {name: tensor.clone() for name, tensor in trainee.store.buffers().items()}
    for number in late:
        batch = trainee.task.train_batch(
            pictures, trainee.size(number), recipe.batch, seed, max(0, number), recipe.augment
        )
        batch = batch.to(trainee.store.flat.device)
        start = time.perf_counter()
        trainee.backward(batch.images, batch.joints, batch.masks, max(0, number))
        if trainee.store.flat.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
        trainee.store.zero_grad()
    for name, tensor in trainee.store.buffers().items():  # a single network's running statistics have moved
        tensor.copy_(before[name])
    measured = sum(trainee.work(max(0, number)) for number in late[1:])
    return sum(times[1:]) / measured * mean_work(trainee, steps) * recipe.accumulate


def mean_work(trainee: Trainee, steps: int) -> float:
    """The mean work of steps from a late one on."""
    return statistics.fmean(trainee.work(max(0, steps - 1) + number) for number in range(SAMPLED_STEPS))


def steps_of(length: Length, items: int, recipe: Recipe, each: float) -> int:
    """The number of steps that a length means, with this many pictures or people in an epoch."""
    if length.steps is not None:
        return length.steps
    if length.epochs is not None:
        return max(1, round(length.epochs * items / (recipe.batch * recipe.accumulate)))
    if length.hours is not None:
        return max(1, round(length.hours * 3600 / each))
    raise UserError("a length is missing: --steps, --epochs or --hours")


def rank(scores: Mapping[str, float]) -> tuple[float, float]:
    """What is greater for better scores: the AP, then less loss; an AP too low to tell anything counts none."""
    ap, loss = float(scores["ap"]), float(scores["loss"])  # from the metrics, `inf` is a word
    return (ap if ap >= MUTE_AP else 0.0, -loss if math.isfinite(loss) else -math.inf)


def is_best(scores: Mapping[str, float], rows: Iterable[Mapping[str, float]], prefix: str) -> bool:
    """Whether scores beat those of all earlier checks, which rows of metrics hold under prefix/ap and /loss."""
    keys = f"{prefix}/ap", f"{prefix}/loss"
    earlier = [rank({"ap": row[keys[0]], "loss": row[keys[1]]}) for row in rows if keys[1] in row]
    return not earlier or rank(scores) > max(earlier)
