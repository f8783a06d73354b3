"""The first step: train one supernet for a whole space."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import devices, weights
from litepose_nas.data.loader import batches
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.importers import starts
from litepose_nas.importers.starts import Start
from litepose_nas.inference import previews
from litepose_nas.pose.make_task import make_task
from litepose_nas.runs.run import Run, digest
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.space import Space
from litepose_nas.steps.checkpoint_choice import is_best
from litepose_nas.steps.common import (
    Data,
    Say,
    check_joints,
    duration,
    first_of,
    read_data,
    seconds_a_step,
    steps_of,
)
from litepose_nas.steps.keyframe import check_key, load_key, space_with_key
from litepose_nas.supernet import Supernet, extract
from litepose_nas.train.loop import Every, Progress, fit
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


class Plan(NamedTuple):
    """What a training would be, before it begins."""

    steps: int
    seconds: float
    items: int  # pictures, or people
    size: tuple[int, int] | None  # None: drawn anew each step
    quick: bool
    settings: dict[str, Any]


class Wishes(NamedTuple):
    """What the user asked for."""

    space: str = "litepose"
    recipe: Recipe = Recipe()
    length: Length = Length()
    seed: int = 0
    device: str = "auto"
    amp: str = "auto"
    init: str | None = None
    key: str | None = None  # the file of a trained network, for the key frames of a temporal space
    typed: tuple[str, ...] = ()  # settings that were asked for by name: a preset leaves them alone


def check(wishes: Wishes) -> None:
    """Refuse what cannot be, before any picture is read or drawn."""
    wishes.length.check()
    space_with_key(Space.load(wishes.space), wishes.key)
    devices.precision(wishes.amp, devices.pick(wishes.device))


def prepare(wishes: Wishes, source: Source, say: Say) -> tuple[Supernet, Data, SupernetTrainee, Plan]:
    """Build the supernet, read the pictures, and find out how long it will take."""
    check(wishes)
    device = devices.pick(wishes.device)
    space = space_with_key(Space.load(wishes.space), wishes.key)
    data = read_data(source, wishes.seed, task=space.task)
    check_key(wishes.key, data.skeleton, wishes.recipe)
    supernet, start = _begun(space, data.joints, wishes.seed, device, wishes.init, wishes.key)
    recipe, length, size = wishes.recipe, wishes.length, None
    if start:
        recipe = _as_started(recipe, wishes.typed, start, say)
    quick = not any(length) and device.type == "cpu"
    if quick:
        # The smallest resolution and a size of batch that makes many steps: enough to see the whole path work.
        recipe = dataclasses.replace(QUICK, **_chosen(recipe, wishes.typed))
        size, length = space.smallest.input, Length(hours=QUICK_MINUTES / 60)
    task = make_task(data.skeleton, recipe.task_info, space.task, space.widest.clip_length)
    trainee = SupernetTrainee(supernet, recipe, 10, wishes.seed, size, task)
    rest = data.split.train
    items = task.items(rest)
    each = seconds_a_step(trainee, rest, recipe, wishes.seed, 10)
    if not any(length):
        length = Length(epochs=200)
    steps = steps_of(length, items, recipe, each)
    settings = {
        "space": wishes.space,
        "space_digest": digest(space.source),
        "data": source.name,
        "joints": data.joints,
        "seed": wishes.seed,
        "steps": steps,
        "size": list(size) if size else None,
        "amp": wishes.amp,
        "init": wishes.init,
        "key": wishes.key,
        "quick": quick,
        "recipe": kept(recipe, space.task),
    }
    plan = Plan(steps, each * steps, items, size, quick, settings)
    return supernet, data, SupernetTrainee(supernet, recipe, steps * recipe.accumulate, wishes.seed, size, task), plan


def _begun(
    space: Space, joints: int, seed: int, device: torch.device, init: str | None, key: str | None
) -> tuple[Supernet, Start | None]:
    """Return the supernet as it is before the first step, and what it was started from."""
    torch.manual_seed(seed)
    supernet = Supernet(space, joints, device=device, memory_format=devices.layout(device))
    start = starts.init_supernet(supernet, Path(init)) if init else None
    load_key(supernet, key)  # last: what is frozen is the key network's own
    return supernet, start


def _as_started(recipe: Recipe, typed: tuple[str, ...], start: Start, say: Say) -> Recipe:
    """Return the recipe with the pictures prepared as the weights are used to, unless they were asked for otherwise."""
    say(str(start.report))
    if start.pixels in (None, recipe.pixels):
        return recipe
    if "pixels" in typed:
        say(f"pixels={recipe.pixels}, as asked, though these weights are used to {start.pixels}")
        return recipe
    say(f"pixels={start.pixels}: pictures are prepared as these weights are used to")
    return dataclasses.replace(recipe, pixels=start.pixels)


def again(run: Run, source: Source, device: str) -> tuple[Supernet, Data, SupernetTrainee, Plan]:
    """Build what an interrupted run was training."""
    past = run.settings
    try:
        recipe = from_mapping(past["recipe"])
        where, size = devices.pick(device), tuple(past["size"]) if past["size"] else None
        space = space_with_key(Space.load(past["space"]), past.get("key"))
        data = read_data(source, past["seed"], task=space.task)
        supernet, _ = _begun(space, past["joints"], past["seed"], where, past["init"], past.get("key"))
        task = make_task(data.skeleton, recipe.task_info, space.task, space.widest.clip_length)
        trainee = SupernetTrainee(supernet, recipe, past["steps"] * recipe.accumulate, past["seed"], size, task)
    except KeyError as error:
        raise UserError(f"{run.folder}/config.yaml: no setting {error}; start a new run") from error
    check_joints(data, source, supernet.joints, run.folder)
    if digest(space.source) != past["space_digest"]:
        raise UserError(f"{past['space']}: changed since {run.folder} was begun; restore it, or start a new run")
    return (
        supernet,
        data,
        trainee,
        Plan(past["steps"], 0.0, task.items(data.split.train), size, past["quick"], dict(past)),
    )


def train(
    run: Run,
    supernet: Supernet,
    data: Data,
    trainee: SupernetTrainee,
    plan: Plan,
    report: Callable[[Progress], None] | None = None,
    every: Every | None = None,
    tick: Callable[[int, int], None] | None = None,
    loaders: int | None = None,
) -> Path:
    """Train to the end, from the run's checkpoint if it has one, and return the file of weights.

    The threads that prepare pictures are as many as suit the device, unless told.
    """
    recipe, seed = trainee.recipe, plan.settings["seed"]
    device = supernet.store.flat.device
    split, protocol = data.split, Protocol()
    if plan.quick:
        split, protocol = split._replace(heldout=first_of(split.heldout, QUICK_SLICE)), QUICK_PROTOCOL
    judge = Scorer(split, trainee.task, recipe, device, protocol)
    ends = _ends(supernet.space, plan.size)

    def check(step: int, _: torch.Tensor | None) -> dict[str, float]:
        found = {}
        for name, arch in ends.items():
            net = extract(supernet, arch)
            found[name] = judge(net, arch.input)
            if name == WIDEST:
                place = run.images / f"predictions-{step}.jpg"
                previews.show_predictions(net, split.heldout, judge.task, arch.input, place)
        weights.save_supernet(supernet, run.weights / "last.safetensors", recipe.pixels)
        # In the metrics are the checks before this one, also those before a resume.
        if is_best(found[WIDEST], run.metrics.rows, WIDEST):
            weights.save_supernet(supernet, run.weights / "best.safetensors", recipe.pixels)
        return {f"{name}/{key}": value for name, scores in found.items() for key, value in scores.items()}

    def stream(start: int) -> Any:
        last = plan.steps * recipe.accumulate
        return batches(
            data.split.train,
            trainee.size,
            recipe.batch,
            seed,
            recipe.augment,
            start,
            last,
            workers=devices.loaders(device) if loaders is None else loaders,
            make_batch=trainee.task.train_batch,
        )

    if not (run.images / "train.jpg").exists():
        first = trainee.task.train_batch(data.split.train, trainee.size(0), recipe.batch, seed, 0, recipe.augment)
        previews.show_batch(first, data.skeleton, recipe.sigma, run.images / "train.jpg")
    every = every or Every(
        report=max(1, plan.steps // 100),
        check=plan.steps if plan.quick else max(1, plan.steps // 4),
        save=max(1, plan.steps // 20),
    )
    precision = devices.precision(plan.settings["amp"], device)
    fit(trainee, stream, run, plan.steps, every=every, precision=precision, check=check, report=report, tick=tick)
    path = run.weights / "last.safetensors"
    weights.save_supernet(supernet, path, recipe.pixels)
    return path


def words(plan: Plan, supernet: Supernet) -> str:
    """Return what is about to happen, in one line."""
    size = f"{plan.size[0]} px" if plan.size else "a resolution drawn each step"
    recipe = plan.settings["recipe"]
    return (
        f"{plan.items:,} {supernet.space.task.items}, {plan.steps:,} steps of batch {recipe['batch']} at {size}, "
        f"{supernet.store.flat.numel() / 1e6:.1f} M numbers: about {duration(plan.seconds)}"
    )


def _ends(space: Space, size: tuple[int, int] | None) -> dict[str, Any]:
    """Return the widest and the smallest network, at the size that was trained."""
    ends = {WIDEST: space.widest, "smallest": space.smallest}
    if size is None:
        return ends
    genes = [gene for gene in space.genes if gene.path == "resolution"]
    if not genes:
        return ends
    low = genes[0].choices[0]
    return {name: space.arch({**arch.to_dict(), "resolution": low}) for name, arch in ends.items()}


def _chosen(recipe: Recipe, typed: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings that were typed or differ from the defaults: the user's own."""
    plain = dataclasses.asdict(Recipe())
    own = dataclasses.asdict(recipe).items()
    return {key: value for key, value in own if value != plain[key] or key in typed}
