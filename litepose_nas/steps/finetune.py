"""The fourth step: train the extracted network on its own."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from litepose_nas import devices, files, weights
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.families.temporal import key_everywhere
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.inference import previews
from litepose_nas.report import run_page
from litepose_nas.resolve import resolve, subnet_of
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.steps.common import Data, check_joints, duration, needed, read_data, task_of
from litepose_nas.steps.compared import compare
from litepose_nas.steps.extract import known_supernet
from litepose_nas.steps.training import check_options, is_best, run_training, seconds_a_step, steps_of
from litepose_nas.supernet import calibrate, extract
from litepose_nas.train.loop import Every, Progress
from litepose_nas.train.recipe import Length, Recipe, changed, from_mapping, kept
from litepose_nas.train.trainee import NetTrainee

VERB = "finetune"
BEST, LAST = "best", "last"  # which weights are taken in the end
HELD = "held"  # how the metrics call the held-out pictures
LOOKING = 0.05  # of the time of a training may be spent on looking at held-out pictures
QUICK_MINUTES = 3.0
RECIPE = {"lr": 3e-3, "ema": 0.998, "widest_first": 0.0}  # what fine-tuning changes in the recipe of the supernet


class FinetuneOptions(NamedTuple):
    subnet: Path
    changes: Sequence[str] = ()  # to the recipe, such as lr=0.003
    length: Length = Length()
    teacher: bool = False
    take: str = BEST
    seed: int = 0
    device: str = "auto"
    amp: str = "auto"

    def check(self, known: Subnet, where: str) -> None:
        """Refuse what cannot be, before any picture is read or drawn."""
        check_options(self.length, self.device, self.amp)
        recipe_of(known, where, self.changes)


class Finetuning(NamedTuple):
    """A network about to be fine-tuned; `settings` is what its run keeps."""

    subnet: Subnet
    data: Data
    trainee: NetTrainee
    settings: Mapping[str, Any]
    seconds: float = 0.0  # how long it will take, where that was measured
    quick: bool = False


def known_weights(path: Path) -> Subnet:
    """Read what a file of weights says of its network, or say how to come by one."""
    if path.suffix != ".safetensors":
        resolve(str(path))  # what is nothing at all is told so
        way = f"make them with: litepose-nas extract {path}" if path.suffix == ".json" else "name a .safetensors file"
        raise UserError(f"{path}: an architecture without weights; {way}")
    if not path.exists():
        raise UserError(f"{path}: no such file; make it with: litepose-nas extract subnet.json")
    return subnet_of(path)


def recipe_of(subnet: Subnet, where: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe for fine-tuning: the supernet's with a gentler rate and averaged weights, and then the changes."""
    recipe = from_mapping({**needed(subnet, where)["recipe"], **RECIPE})
    return changed(recipe, changes, subnet.arch.space.task)


def plan(options: FinetuneOptions, source: Source) -> Finetuning:
    """Load a network and find out how long its training will take."""
    path, subnet, length = options.subnet, known_weights(options.subnet), options.length
    recipe = recipe_of(subnet, str(path), options.changes)
    settings: dict[str, Any] = {
        "subnet": str(path), "sha256": files.sha256(path),
        "data": source.name, "seed": options.seed, "steps": 0, "amp": options.amp, "teacher": options.teacher,
        "take": options.take, "recipe": kept(recipe, subnet.arch.space.task),
    }  # fmt: skip
    training = from_settings(settings, source, options.device)
    quick = not any(length) and training.trainee.store.flat.device.type == "cpu"
    if quick:
        length = Length(hours=QUICK_MINUTES / 60)
    elif not any(length):
        length = Length(epochs=100)
    pictures = training.data.split.train
    each = seconds_a_step(training.trainee, pictures, recipe, options.seed, 2)
    settings["steps"] = steps_of(length, training.trainee.task.items(pictures), recipe, each)
    return training._replace(seconds=each * settings["steps"], quick=quick)


def load(run: Run, source: Source, device: str) -> Finetuning:
    """Load what an interrupted run was fine-tuning."""
    path = Path(run.settings["subnet"])
    known_weights(path)
    if files.sha256(path) != run.settings["sha256"]:
        raise UserError(f"{path}: changed since {run.folder} was begun; restore it, or start a new run")
    return from_settings(run.settings, source, device)


def from_settings(settings: Mapping[str, Any], source: Source, device: str) -> Finetuning:
    path, where, recipe = Path(settings["subnet"]), devices.pick(device), from_mapping(settings["recipe"])
    subnet = known_weights(path)
    teacher = _teacher(subnet, path, where) if settings["teacher"] else None
    data = read_data(source, needed(subnet, str(path))["seed"], task=subnet.arch.space.task)
    check_joints(data, source, subnet.joints, path)
    net = devices.place(weights.load(path), where)
    task = task_of(subnet.arch, data, recipe)
    trainee = NetTrainee(net, recipe, subnet.input, where, subnet.joints, teacher, task)
    return Finetuning(subnet, data, trainee, settings)


def finetune(
    run: Run,
    training: Finetuning,
    report: Callable[[Progress], None] | None = None,
    every: Every | None = None,
    tick: Callable[[int, int], None] | None = None,
    until: int | None = None,
    loaders: int | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Train to the end; return the file of the weights that ship, averaged and calibrated, and their scores.

    With `until`, only to that step of it.
    """
    subnet, data, trainee, settings = training.subnet, training.data, training.trainee, training.settings
    scorer = Scorer(data.split, trainee.task, trainee.recipe, trainee.store.flat.device, Protocol())

    def check(step: int, average: Tensor | None) -> dict[str, float]:
        net = _as_it_ships(training, scorer, average)
        scores = scorer(net, subnet.input, calibrated=True)
        info = {
            **subnet.info,
            "pixels": trainee.recipe.pixels,  # a setting may have changed it
            "score": {**scores, "of": "fine-tuned weights", "step": step},
            "finetuned": settings,
        }
        weights.save(net, run.weights / f"{LAST}.safetensors", subnet._replace(info=info))
        if is_best(scores, run.metrics.rows, HELD):
            weights.save(net, run.weights / f"{BEST}.safetensors", subnet._replace(info=info))
        place = run.images / f"predictions-{step}.jpg"
        previews.show_predictions(net, data.split.heldout, trainee.task, subnet.input, place)
        return {f"{HELD}/{key}": value for key, value in scores.items()}

    steps = settings["steps"]
    every = every or Every(max(1, steps // 100), _between_checks(training, scorer.protocol), max(1, steps // 20))
    run_training(run, trainee, data, settings, every, check, loaders, until=until, report=report, tick=tick)
    path = run.weights / f"{settings.get('take', BEST)}.safetensors"
    if until is None or until >= steps:
        where = trainee.store.flat.device
        before = scorer.calibrated(weights.load(Path(settings["subnet"])), subnet.input)
        compare(run, scorer, before, devices.place(weights.load(path), where), subnet.input)
    run_page.write(run)
    return path, subnet_of(path).info["score"]


def _as_it_ships(training: Finetuning, scorer: Scorer, average: Tensor | None) -> nn.Module:
    """A copy of the network with its averaged weights, calibrated; the training goes on without noticing."""
    net = copy.deepcopy(training.trainee.net)
    if average is not None:
        training.trainee.store.copy_to(net, average)
    calibrate(net, scorer.calibration(training.subnet.input))
    return net


def _between_checks(training: Finetuning, protocol: Protocol) -> int:
    """The steps from one look at the held-out pictures to the next: few enough looks to cost next to nothing."""
    recipe = training.trainee.recipe
    # Calibrating, finding people and the loss are a forward pass each: half a step of training at most.
    look = 0.5 * (protocol.calibration + 2 * len(training.data.split.heldout)) / (recipe.batch * recipe.accumulate)
    return max(1, training.settings["steps"] // 8, round(look / LOOKING))


def words(training: Finetuning) -> str:
    """What is about to happen, in one line."""
    settings, (height, width) = training.settings, training.subnet.input
    return (
        f"{len(training.data.split.train):,} pictures, {settings['steps']:,} steps of batch "
        f"{settings['recipe']['batch']} at {height}x{width}: about {duration(training.seconds)}"
    )


def _teacher(subnet: Subnet, path: Path, where: torch.device) -> Callable[[Tensor], Sequence[Tensor]]:
    """Who else a network learns from: the widest of its supernet, and of a group its own key network."""
    if subnet.arch.space.task.clips:
        return functools.partial(key_everywhere, devices.place(weights.load(path), where))
    moved = "extract again with --supernet and its place, or leave out --teacher"
    changed = "restore it, search and extract again, or leave out --teacher"
    supernet = weights.load_supernet(known_supernet(needed(subnet, str(path)), path, moved, changed), device=where)
    teacher = extract(supernet, supernet.space.widest).to(where).train()  # normalised by the batch, like its windows
    return teacher.requires_grad_(False)
