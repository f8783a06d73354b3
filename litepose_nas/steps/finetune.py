"""The fourth step: train the extracted network on its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from litepose_nas import devices, files, weights
from litepose_nas.data.loader import batches
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.network import Network
from litepose_nas.runs.run import Run
from litepose_nas.scoring import Judge, Protocol
from litepose_nas.steps.common import Data, check_joints, duration, needed, read_data, seconds_a_step, steps_of, task_of
from litepose_nas.supernet import calibrate, extract
from litepose_nas.target import resolve, subnet_of
from litepose_nas.train.loop import Every, Progress, fit
from litepose_nas.train.recipe import Length, Recipe, from_mapping, kept
from litepose_nas.train.trainee import NetTrainee

VERB = "finetune"
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
    judge: Judge
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
    path: Path, source: Source, recipe: Recipe, length: Length, device: str, amp: str, seed: int, teacher: bool
) -> Ready:
    """Load a network and find out how long its training will take."""
    length.check()
    where = devices.pick(device)
    devices.precision(amp, where)
    subnet = known_weights(path)
    data = read_data(source, needed(subnet, str(path))["seed"])
    check_joints(data, source, subnet.joints, path)
    net = devices.place(weights.load(path), where)
    guide = _widest(subnet, where) if teacher else None
    task = task_of(data.skeleton, recipe, subnet.arch.space.task)
    trainee = NetTrainee(net, recipe, subnet.input, where, subnet.joints, guide, task)
    quick = not any(length) and where.type == "cpu"
    if quick:
        length = Length(hours=QUICK_MINUTES / 60)
    elif not any(length):
        length = Length(epochs=100)
    each = seconds_a_step(trainee, data.held.rest, recipe, seed, 2)
    steps = steps_of(length, task.items(data.held.rest), recipe, each)
    settings = {
        "subnet": str(path), "sha256": files.sha256(path),
        "data": source.name, "seed": seed, "steps": steps, "amp": amp, "teacher": teacher,
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
    data = read_data(source, needed(subnet, str(path))["seed"])
    check_joints(data, source, subnet.joints, path)
    net = devices.place(weights.load(path), where)
    guide = _widest(subnet, where) if past["teacher"] else None
    task = task_of(data.skeleton, recipe, subnet.arch.space.task)
    trainee = NetTrainee(net, recipe, subnet.input, where, subnet.joints, guide, task)
    return _ready(net, subnet, data, recipe, where, trainee, Plan(past["steps"], 0.0, False, dict(past)))


def finetune(run: Run, ready: Ready, report: Callable[[Progress], None] | None = None) -> tuple[Path, dict[str, float]]:
    """Train to the end; write and return the weights that ship, averaged and calibrated, and their scores."""
    recipe, seed, steps = ready.trainee.recipe, ready.plan.settings["seed"], ready.plan.steps
    rest, make_batch, last = ready.data.held.rest, ready.trainee.task.train_batch, steps * recipe.accumulate

    def stream(start: int) -> Any:
        size = ready.subnet.input
        return batches(rest, size, recipe.batch, seed, recipe.augment, start, last, make_batch=make_batch)

    every = Every(report=max(1, steps // 100), check=steps, save=max(1, steps // 20))
    precision = devices.precision(ready.plan.settings["amp"], ready.trainee.store.flat.device)
    average = fit(ready.trainee, stream, run, steps, every=every, precision=precision, report=report)
    if average is not None:
        ready.trainee.store.flat.copy_(average)
    calibrate(ready.net, ready.judge.calibration(ready.subnet.input))
    scores = ready.judge(ready.net, ready.subnet.input, calibrated=True)
    info = {**ready.subnet.info, "score": {**scores, "of": "fine-tuned weights"}, "finetuned": ready.plan.settings}
    path = run.weights / "last.safetensors"
    weights.save(ready.net, path, ready.subnet._replace(info=info))
    return path, scores


def words(plan: Plan) -> str:
    """Return what is about to happen, in one line."""
    return f"{plan.steps:,} steps of batch {plan.settings['recipe']['batch']}: about {duration(plan.seconds)}"


def _ready(
    net: Network, subnet: Subnet, data: Data, recipe: Recipe, where: torch.device, trainee: NetTrainee, plan: Plan
) -> Ready:
    judge = Judge(data.held, trainee.task, recipe, where, Protocol())
    return Ready(net, subnet, data, judge, trainee, plan)


def _widest(subnet: Subnet, where: torch.device) -> nn.Module:
    """Return the widest network of the supernet at the subnet's resolution: the teacher."""
    supernet = weights.load_supernet(subnet.info["supernet"]["path"], device=where)
    teacher = extract(supernet, supernet.space.widest).to(where).train()  # normalised by the batch, like its windows
    return teacher.requires_grad_(False)
