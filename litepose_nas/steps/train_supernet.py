"""The first step: train one supernet for a whole space."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import devices, weights
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.importers import starts
from litepose_nas.importers.starts import Start
from litepose_nas.inference import previews
from litepose_nas.report import run_page
from litepose_nas.runs.run import Run, digest
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.space import Space
from litepose_nas.steps.common import Data, Say, check_joints, duration, first_of, read_data, task_of
from litepose_nas.steps.keyframe import check_key, load_key, space_with_key
from litepose_nas.steps.training import check_options, is_best, run_training, seconds_a_step, steps_of
from litepose_nas.supernet import Supernet, extract
from litepose_nas.train.loop import Every, Progress
from litepose_nas.train.recipe import Length, Recipe, from_mapping, kept
from litepose_nas.train.trainee import SupernetTrainee

VERB = "train-supernet"
WEIGHTS = "weights/last.safetensors"
QUICK_MINUTES = 5.0
QUICK_PROTOCOL = Protocol(calibration=16, batch=8)
QUICK_SLICE = 16  # pictures that the ends of the space are checked on: their networks are large
WIDEST = "widest"
# Minutes are few steps: small batches, one random net beside the ends, and pictures that are hardly changed, for none
# comes often.
QUICK = Recipe(
    batch=4, lr=0.01, widest_first=0.05, random_nets=1, rotation=0.0, scale=(1.0, 1.0), translate=0.03, colour=0.0
)


class TrainOptions(NamedTuple):
    space: str = "litepose"
    recipe: Recipe = Recipe()
    length: Length = Length()
    seed: int = 0
    device: str = "auto"
    amp: str = "auto"
    init: str | None = None
    key: str | None = None  # the file of a trained network, for the key frames of a temporal space
    typed: tuple[str, ...] = ()  # settings that were asked for by name: a preset leaves them alone

    def check(self) -> None:
        """Refuse what cannot be, before any picture is read or drawn."""
        check_options(self.length, self.device, self.amp)
        space_with_key(Space.load(self.space), self.key)


class SupernetTraining(NamedTuple):
    """A supernet about to be trained; `settings` is what its run keeps."""

    supernet: Supernet
    data: Data
    trainee: SupernetTrainee
    settings: Mapping[str, Any]
    seconds: float = 0.0  # how long it will take, where that was measured


def plan(options: TrainOptions, source: Source, say: Say) -> SupernetTraining:
    """Build the supernet, read the pictures, and find out how long the training will take."""
    device, space = devices.pick(options.device), space_with_key(Space.load(options.space), options.key)
    data = read_data(source, options.seed, task=space.task)
    check_key(options.key, data.skeleton, options.recipe)
    supernet, start = _begun(space, data.joints, options.seed, device, options.init, options.key)
    recipe, length, size = options.recipe, options.length, None
    if start:
        recipe = _as_started(recipe, options.typed, start, say)
    quick = not any(length) and device.type == "cpu"
    if quick:
        # The smallest resolution and a size of batch that makes many steps: enough to see the whole path work.
        recipe = dataclasses.replace(QUICK, **_chosen(recipe, options.typed))
        size, length = space.smallest.input, Length(hours=QUICK_MINUTES / 60)
    elif not any(length):
        length = Length(epochs=200)
    settings: dict[str, Any] = {
        "space": options.space,
        "space_digest": digest(space.source),
        "data": source.name,
        "joints": data.joints,
        "seed": options.seed,
        "steps": 10,  # for measuring
        "size": list(size) if size else None,
        "amp": options.amp,
        "init": options.init,
        "key": options.key,
        "quick": quick,
        "recipe": kept(recipe, space.task),
    }
    measured, pictures = _training(supernet, data, settings).trainee, data.split.train
    each = seconds_a_step(measured, pictures, recipe, options.seed, 10 * recipe.accumulate)
    settings["steps"] = steps_of(length, measured.task.items(pictures), recipe, each)
    return _training(supernet, data, settings)._replace(seconds=each * settings["steps"])


def load(run: Run, source: Source, device: str) -> SupernetTraining:
    """Build what an interrupted run was training."""
    past = run.settings
    space, where = space_with_key(Space.load(past["space"]), past.get("key")), devices.pick(device)
    data = read_data(source, past["seed"], task=space.task)
    supernet, _ = _begun(space, past["joints"], past["seed"], where, past["init"], past.get("key"))
    training = _training(supernet, data, past)
    check_joints(data, source, supernet.joints, run.folder)
    if digest(space.source) != past["space_digest"]:
        raise UserError(f"{past['space']}: changed since {run.folder} was begun; restore it, or start a new run")
    return training


def _training(supernet: Supernet, data: Data, settings: Mapping[str, Any]) -> SupernetTraining:
    recipe, size = from_mapping(settings["recipe"]), settings["size"]
    task, batches = task_of(supernet.space.widest, data, recipe), settings["steps"] * recipe.accumulate
    trainee = SupernetTrainee(supernet, recipe, batches, settings["seed"], tuple(size) if size else None, task)
    return SupernetTraining(supernet, data, trainee, settings)


def _begun(
    space: Space, joints: int, seed: int, device: torch.device, init: str | None, key: str | None
) -> tuple[Supernet, Start | None]:
    """The supernet as it is before the first step, and what it was started from."""
    torch.manual_seed(seed)
    supernet = Supernet(space, joints, device=device, memory_format=devices.layout(device))
    start = starts.init_supernet(supernet, Path(init)) if init else None
    load_key(supernet, key)  # last: what is frozen is the key network's own
    return supernet, start


def _as_started(recipe: Recipe, typed: tuple[str, ...], start: Start, say: Say) -> Recipe:
    """The recipe with the pictures prepared as the weights are used to, unless they were asked for otherwise."""
    say(str(start.report))
    if start.pixels in (None, recipe.pixels):
        return recipe
    if "pixels" in typed:
        say(f"pixels={recipe.pixels}, as asked, though these weights are used to {start.pixels}")
        return recipe
    say(f"pixels={start.pixels}: pictures are prepared as these weights are used to")
    return dataclasses.replace(recipe, pixels=start.pixels)


def train(
    run: Run,
    training: SupernetTraining,
    report: Callable[[Progress], None] | None = None,
    every: Every | None = None,
    tick: Callable[[int, int], None] | None = None,
    loaders: int | None = None,
) -> Path:
    """Train to the end, from the run's checkpoint if it has one, and return the file of weights."""
    supernet, data, trainee, settings, _ = training
    recipe, steps = trainee.recipe, settings["steps"]
    split, protocol = data.split, Protocol()
    if settings["quick"]:
        split, protocol = split._replace(heldout=first_of(split.heldout, QUICK_SLICE)), QUICK_PROTOCOL
    scorer = Scorer(split, trainee.task, recipe, supernet.store.flat.device, protocol)
    ends = _ends(supernet.space, settings["size"])
    path = run.weights / "last.safetensors"

    def check(step: int, _: torch.Tensor | None) -> dict[str, float]:
        found = {}
        for name, arch in ends.items():
            net = extract(supernet, arch)
            found[name] = scorer(net, arch.input)
            if name == WIDEST:
                place = run.images / f"predictions-{step}.jpg"
                previews.show_predictions(net, split.heldout, scorer.task, arch.input, place)
        weights.save_supernet(supernet, path, recipe.pixels)
        # In the metrics are the checks before this one, also those before a resume.
        if is_best(found[WIDEST], run.metrics.rows, WIDEST):
            weights.save_supernet(supernet, run.weights / "best.safetensors", recipe.pixels)
        return {f"{name}/{key}": value for name, scores in found.items() for key, value in scores.items()}

    every = every or Every(
        report=max(1, steps // 100),
        check=steps if settings["quick"] else max(1, steps // 4),
        save=max(1, steps // 20),
    )
    run_training(run, trainee, data, settings, every, check, loaders, report=report, tick=tick)
    weights.save_supernet(supernet, path, recipe.pixels)
    run_page.write(run)
    return path


def words(training: SupernetTraining) -> str:
    """What is about to happen, in one line."""
    settings, supernet, task = training.settings, training.supernet, training.trainee.task
    size = f"{settings['size'][0]} px" if settings["size"] else "a resolution drawn each step"
    return (
        f"{task.items(training.data.split.train):,} {supernet.space.task.items}, {settings['steps']:,} steps of batch "
        f"{settings['recipe']['batch']} at {size}, {supernet.store.flat.numel() / 1e6:.1f} M numbers: "
        f"about {duration(training.seconds)}"
    )


def _ends(space: Space, size: Sequence[int] | None) -> dict[str, Any]:
    """The widest and the smallest network, at the size that was trained."""
    ends = {WIDEST: space.widest, "smallest": space.smallest}
    low, *others = space.resolutions
    if size is None or not others:
        return ends
    return {name: space.arch({**arch.to_dict(), "resolution": low}) for name, arch in ends.items()}


def _chosen(recipe: Recipe, typed: tuple[str, ...]) -> dict[str, Any]:
    """The settings that were typed or differ from the defaults: the user's own."""
    plain = dataclasses.asdict(Recipe())
    own = dataclasses.asdict(recipe).items()
    return {key: value for key, value in own if value != plain[key] or key in typed}
