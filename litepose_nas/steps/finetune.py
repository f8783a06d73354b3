"""The fourth step: train the extracted network on its own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from litepose_nas import devices, files, weights
from litepose_nas.data.loader import batches
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.families.temporal import key_everywhere
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.inference import previews
from litepose_nas.network import Network
from litepose_nas.pose.make_task import make_task
from litepose_nas.resolve import resolve, subnet_of
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.steps.checkpoint_choice import is_best
from litepose_nas.steps.common import Data, check_joints, duration, needed, read_data, seconds_a_step, steps_of
from litepose_nas.steps.extract import known_supernet
from litepose_nas.supernet import calibrate, extract
from litepose_nas.train.loop import Every, Progress, fit
from litepose_nas.train.recipe import Length, Recipe, from_mapping, kept
from litepose_nas.train.trainee import NetTrainee

VERB = "finetune"
BEST, LAST = "best", "last"  # which weights are taken in the end
HELD = "held"  # how the metrics call the held-out pictures
LOOKING = 0.05  # of the time of a training may be spent on looking at held-out pictures
QUICK_MINUTES = 3.0
RECIPE = {"lr": 3e-3, "ema": 0.998, "widest_first": 0.0}  # what fine-tuning changes in the recipe of the supernet


class Plan(NamedTuple):
    """What a fine-tuning would be, before it begins."""

    steps: int
    seconds: float
    quick: bool
    settings: dict[str, Any]


class Ready(NamedTuple):
    """A network about to be fine-tuned."""

    net: Network
    subnet: Subnet
    data: Data
    judge: Scorer
    trainee: NetTrainee
    plan: Plan


def known_weights(path: Path) -> Subnet:
    """Return what a file of weights says of its network, or say how to come by one."""
    if path.suffix != ".safetensors":
        resolve(str(path))  # what is nothing at all is told so
        way = f"make them with: litepose-nas extract {path}" if path.suffix == ".json" else "name a .safetensors file"
        raise UserError(f"{path}: an architecture without weights; {way}")
    if not path.exists():
        raise UserError(f"{path}: no such file; make it with: litepose-nas extract subnet.json")
    return subnet_of(path)


def recipe_of(subnet: Subnet, where: str, changes: Callable[[Recipe], Recipe] | None = None) -> Recipe:
    """Return the recipe for fine-tuning: the supernet's with a gentler rate and averaged weights."""
    recipe = from_mapping({**needed(subnet, where)["recipe"], **RECIPE})
    return changes(recipe) if changes else recipe


def prepare(
    path: Path,
    source: Source,
    recipe: Recipe,
    length: Length,
    device: str,
    amp: str,
    seed: int,
    teacher: bool,
    take: str = BEST,
) -> Ready:
    """Load a network and find out how long its training will take."""
    length.check()
    where = devices.pick(device)
    devices.precision(amp, where)
    subnet = known_weights(path)
    guide = _teacher(subnet, path, where) if teacher else None
    data = read_data(source, needed(subnet, str(path))["seed"], task=subnet.arch.space.task)
    check_joints(data, source, subnet.joints, path)
    net = devices.place(weights.load(path), where)
    task = make_task(data.skeleton, recipe.task_info, subnet.arch.space.task, subnet.arch.clip_length)
    trainee = NetTrainee(net, recipe, subnet.input, where, subnet.joints, guide, task)
    quick = not any(length) and where.type == "cpu"
    if quick:
        length = Length(hours=QUICK_MINUTES / 60)
    elif not any(length):
        length = Length(epochs=100)
    each = seconds_a_step(trainee, data.split.train, recipe, seed, 2)
    steps = steps_of(length, task.items(data.split.train), recipe, each)
    settings = {
        "subnet": str(path), "sha256": files.sha256(path),
        "data": source.name, "seed": seed, "steps": steps, "amp": amp, "teacher": teacher, "take": take,
        "recipe": kept(recipe, subnet.arch.space.task),
    }  # fmt: skip
    return _ready(net, subnet, data, recipe, where, trainee, Plan(steps, each * steps, quick, settings))


def again(run: Run, source: Source, device: str) -> Ready:
    """Load what an interrupted run was fine-tuning."""
    past, where = run.settings, devices.pick(device)
    path = Path(past["subnet"])
    subnet, recipe = known_weights(path), from_mapping(past["recipe"])
    if files.sha256(path) != past["sha256"]:
        raise UserError(f"{path}: changed since {run.folder} was begun; restore it, or start a new run")
    guide = _teacher(subnet, path, where) if past["teacher"] else None
    data = read_data(source, needed(subnet, str(path))["seed"], task=subnet.arch.space.task)
    check_joints(data, source, subnet.joints, path)
    net = devices.place(weights.load(path), where)
    task = make_task(data.skeleton, recipe.task_info, subnet.arch.space.task, subnet.arch.clip_length)
    trainee = NetTrainee(net, recipe, subnet.input, where, subnet.joints, guide, task)
    return _ready(net, subnet, data, recipe, where, trainee, Plan(past["steps"], 0.0, False, dict(past)))


def finetune(
    run: Run,
    ready: Ready,
    report: Callable[[Progress], None] | None = None,
    every: Every | None = None,
    tick: Callable[[int, int], None] | None = None,
    until: int | None = None,
    loaders: int | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Train to the end; return the file of the weights that ship, averaged and calibrated, and their scores.

    With `until`, only to that step of it. The threads that prepare pictures are as many as suit the device unless told.
    """
    recipe, settings, steps = ready.trainee.recipe, ready.plan.settings, ready.plan.steps
    split, size, make_batch = ready.data.split, ready.subnet.input, ready.trainee.task.train_batch
    threads = devices.loaders(ready.trainee.store.flat.device) if loaders is None else loaders

    def stream(start: int) -> Any:
        last, seed = steps * recipe.accumulate, settings["seed"]
        return batches(
            split.train, size, recipe.batch, seed, recipe.augment, start, last, workers=threads, make_batch=make_batch
        )

    def check(step: int, average: Tensor | None) -> dict[str, float]:
        net = _as_it_ships(ready, average)
        scores = ready.judge(net, size, calibrated=True)
        info = {
            **ready.subnet.info,
            "pixels": recipe.pixels,  # a setting may have changed it
            "score": {**scores, "of": "fine-tuned weights", "step": step},
            "finetuned": settings,
        }
        weights.save(net, run.weights / f"{LAST}.safetensors", ready.subnet._replace(info=info))
        if is_best(scores, run.metrics.rows, HELD):
            weights.save(net, run.weights / f"{BEST}.safetensors", ready.subnet._replace(info=info))
        previews.show_predictions(net, split.heldout, ready.judge.task, size, run.images / f"predictions-{step}.jpg")
        return {f"{HELD}/{key}": value for key, value in scores.items()}

    if not (run.images / "train.jpg").exists():
        first = make_batch(split.train, size, recipe.batch, settings["seed"], 0, recipe.augment)
        previews.show_batch(first, ready.data.skeleton, recipe.sigma, run.images / "train.jpg")
    every = every or Every(report=max(1, steps // 100), check=_between_checks(ready), save=max(1, steps // 20))
    precision = devices.precision(settings["amp"], ready.trainee.store.flat.device)
    how: dict[str, Any] = {"every": every, "precision": precision, "check": check, "report": report, "tick": tick}
    fit(ready.trainee, stream, run, steps, until=until, **how)
    path = run.weights / f"{settings.get('take', BEST)}.safetensors"
    return path, subnet_of(path).info["score"]


def _as_it_ships(ready: Ready, average: Tensor | None) -> nn.Module:
    """Return a copy of the network with its averaged weights, calibrated; the training goes on without noticing."""
    net = copy.deepcopy(ready.net)
    if average is not None:
        views = ready.trainee.store.views(average)
        with torch.no_grad():
            for name, param in net.named_parameters():
                if name in views:  # what is frozen has no average
                    param.copy_(views[name])
    calibrate(net, ready.judge.calibration(ready.subnet.input))
    return net


def _between_checks(ready: Ready) -> int:
    """Return the steps from one look at the held-out pictures to the next: few enough looks to cost next to nothing."""
    recipe, protocol = ready.trainee.recipe, ready.judge.protocol
    # Calibrating, finding people and the loss are a forward pass each: half a step of training at most.
    look = 0.5 * (protocol.calibration + 2 * len(ready.data.split.heldout)) / (recipe.batch * recipe.accumulate)
    return max(1, ready.plan.steps // 8, round(look / LOOKING))


def words(ready: Ready) -> str:
    """Return what is about to happen, in one line."""
    plan, (height, width) = ready.plan, ready.subnet.input
    batch, count = plan.settings["recipe"]["batch"], len(ready.data.split.train)
    return (
        f"{count:,} pictures, {plan.steps:,} steps of batch {batch} at {height}x{width}: about {duration(plan.seconds)}"
    )


def _ready(
    net: Network, subnet: Subnet, data: Data, recipe: Recipe, where: torch.device, trainee: NetTrainee, plan: Plan
) -> Ready:
    judge = Scorer(data.split, trainee.task, recipe, where, Protocol())
    return Ready(net, subnet, data, judge, trainee, plan)


class _KeyEverywhere(nn.Module):
    """The frozen key network of a group on every frame of a clip."""

    def __init__(self, group: Network):
        super().__init__()
        self.group = group

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        """Return the heatmaps of every frame."""
        return key_everywhere(self.group, clips)


def _teacher(subnet: Subnet, path: Path, where: torch.device) -> nn.Module:
    """Return who else a network learns from: the widest of its supernet, and of a group its own key network."""
    if subnet.arch.space.task.clips:
        return _KeyEverywhere(devices.place(weights.load(path), where))
    moved = "extract again with --supernet and its place, or leave out --teacher"
    changed = "restore it, search and extract again, or leave out --teacher"
    supernet = weights.load_supernet(known_supernet(needed(subnet, str(path)), path, moved, changed), device=where)
    teacher = extract(supernet, supernet.space.widest).to(where).train()  # normalised by the batch, like its windows
    return teacher.requires_grad_(False)
