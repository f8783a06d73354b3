"""One network trained alone and scored on held-out pictures: what a ranking is compared with."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from real_pictures import Subject

from litepose_nas import devices
from litepose_nas.data.loader import batches
from litepose_nas.metrics import nme, oks, pck
from litepose_nas.metrics.coco import found_of, labels_of
from litepose_nas.network import build
from litepose_nas.pose.make_task import make_task
from litepose_nas.pose.people import DivergedError
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.space import Arch
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import TOPDOWN, Recipe, changed
from litepose_nas.train.trainee import NetTrainee

CPU = torch.device("cpu")
FAILED = {"ap": 0.0, "loss": float("inf"), "oks": 0.0, "pck": 0.0}  # scores of a network that diverged


class Length(NamedTuple):
    """How a network is trained: so many steps with these settings of the default recipe."""

    steps: int
    settings: tuple[str, ...]

    @property
    def recipe(self) -> Recipe:
        return changed(TOPDOWN, self.settings, "topdown")

    def __str__(self) -> str:
        return " ".join((f"steps={self.steps}", *self.settings))


class Alone(NamedTuple):
    """What a training came to; seconds are those of the processor."""

    seconds: float
    scores: dict[str, float]


def scorer_of(subject: Subject, space: Any, recipe: Recipe) -> Scorer:
    """Return what scores networks on the held-out pictures, as a search does."""
    task = make_task(subject.dataset.skeleton, recipe.task_info, space.task, None)
    return Scorer(subject.split, task, recipe, CPU, Protocol())


def score(scorer: Scorer, net: torch.nn.Module, size: tuple[int, int], subject: Subject) -> dict[str, float]:
    """Return loss, AP, PCK and for faces the NME of a network, which is calibrated first."""
    scores = scorer(net, size)
    if scores["loss"] == float("inf"):
        return failed(subject)
    results, skeleton = scorer.found(net, size), subject.dataset.skeleton
    labels, found = labels_of(scorer.truth), found_of(scorer.truth, results)
    scores["oks"] = oks.mean_similarity(labels, found)
    scores["pck"] = pck.mean_pck(pck.errors_of(labels, found, skeleton.names), *subject.pck)
    if skeleton.nme_joints:
        scores["nme"] = nme.nme(nme.errors_of(labels, found, skeleton.nme_joints))
    return scores


def failed(subject: Subject) -> dict[str, float]:
    """Return the worst scores there are."""
    return {**FAILED, **({"nme": float("inf")} if subject.dataset.skeleton.nme_joints else {})}


def train_alone(subject: Subject, arch: Arch, length: Length, seed: int, scorer: Scorer) -> Alone:
    """Train a network from its own random start and score it."""
    torch.manual_seed(seed)
    net = devices.place(build(arch, subject.joints), CPU)
    seconds = train(subject, net, arch, length, seed, scorer)
    return Alone(seconds or 0.0, score(scorer, net, arch.input, subject) if seconds else failed(subject))


def train(
    subject: Subject, net: torch.nn.Module, arch: Arch, length: Length, seed: int, scorer: Scorer
) -> float | None:
    """Train a network from where it stands; return the seconds of the processor, None where it diverged."""
    recipe, steps = length.recipe, length.steps
    trainee = NetTrainee(net, recipe, arch.input, CPU, subject.joints, task=scorer.task)

    def stream(start: int) -> Any:
        make, pictures = scorer.task.train_batch, subject.split.train
        return batches(
            pictures, arch.input, recipe.batch, seed, recipe.augment, start, steps, workers=0, make_batch=make
        )

    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Run.create("alone", out=Path(folder) / "run") as run:
                average = fit(trainee, stream, run, steps, every=Every(steps, steps, steps))
        except DivergedError:
            return None
    if average is not None:
        trainee.store.copy_to(net, average)
    return time.process_time() - began
