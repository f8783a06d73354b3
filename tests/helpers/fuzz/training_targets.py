"""The parsers of what a training goes on from, and of weights of other programs and of our own."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import torch

from litepose_nas import weights
from litepose_nas.data import pixels
from litepose_nas.data.dataset import subjects
from litepose_nas.data.skeleton import make_skeleton
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.importers import starts
from litepose_nas.importers.checkpoint import read_checkpoint
from litepose_nas.importers.convert import convert
from litepose_nas.inference.pictures import overlay
from litepose_nas.network import build
from litepose_nas.pose.topdown import TopDown
from litepose_nas.resolve import resolve, subnet_of
from litepose_nas.space import Space
from litepose_nas.steps import evaluate
from litepose_nas.steps.common import describe
from litepose_nas.steps.finetune import recipe_of
from litepose_nas.supernet import Supernet
from litepose_nas.task_kind import TaskKind
from litepose_nas.train import checkpoint
from litepose_nas.train.loop import _State
from litepose_nas.train.recipe import Recipe, kept
from litepose_nas.train.trainee import NetTrainee
from tests.helpers.fuzz.target import Target
from tests.helpers.released import released_shapes
from tests.helpers.released_vipnas import mbv3_state

JOINTS = 3
# A space whose whole supernet is a file of some kilobytes, so that what is broken in it is seldom a weight.
SMALL = {
    "family": "simple_topdown",
    "resolution": ["32x32", "64x48"],
    "stem": [8],
    "stages": [
        {"depth": [1], "width": [8], "kernel": [3], "expand": [3]},
        {"depth": [1], "width": [8, 16], "kernel": [3, 5], "expand": [3]},
        {"depth": [1, 2], "width": [16], "kernel": [3], "expand": [3]},
    ],
    "head": [{"width": [8]}, {"width": [8]}],
}
MOST_NUMBERS = 1 << 22  # in a tensor that a broken list of shapes asks for


def _make_checkpoint(folder: Path) -> list[bytes]:
    state = {"step": 3, "model": {"a.weight": torch.arange(12.0).reshape(3, 4)}, "lr": 0.1, "words": ["a", "b"]}
    checkpoint.save(folder / "made.pt", state)
    return [(folder / "made.pt").read_bytes()]


@cache
def _small() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2), torch.nn.Conv2d(2, 1, 1))


def _state(path: Path) -> _State:
    trainee = NetTrainee(_small(), Recipe(ema=0.9), (8, 8), "cpu", 1)
    return _State(trainee, path, None)


def _make_training(folder: Path) -> list[bytes]:
    state = _state(folder / "made.pt")
    state.store.grad.fill_(0.5)
    state.update(0.01)
    state.save()
    return [(folder / "made.pt").read_bytes()]


def _go_on(path: Path) -> None:
    """Load the state of a training and take a step with it: what is wrong may show there alone."""
    state = _state(path)
    state.store.grad.fill_(0.5)
    state.sums.load({name: total + 1 for name, total in state.sums.plain().items()}, state.sums.count + 1)
    state.update(0.01)
    state.means()


def _make_foreign(_: Path) -> list[bytes]:
    litepose = {name: list(shape) for name, shape in released_shapes(resolve("litepose-xs").subnet.arch, 14).items()}
    vipnas = {name: list(tensor.shape) for name, tensor in mbv3_state("head").items()}
    told = ({"arch": "litepose-xs", "shapes": litepose}, {"arch": None, "shapes": vipnas})
    return [json.dumps(one).encode() for one in told]


def _import(path: Path) -> None:
    """Make a checkpoint with tensors of the shapes that a file lists, and import it."""
    try:
        told = json.loads(path.read_bytes())
        state = {str(name): torch.zeros(shape) for name, shape in told["shapes"].items() if _plain(shape)}
        arch = told["arch"] and "litepose-xs"
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return
    foreign = path.with_name("foreign.pth")
    torch.save(state, foreign)
    out = path.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    convert(foreign, out / "net.safetensors", arch=arch)


def _plain(shape: object) -> bool:
    whole = isinstance(shape, list) and all(type(size) is int and 0 <= size < MOST_NUMBERS for size in shape)
    numbers = 1
    for size in shape if whole and isinstance(shape, list) else ():
        numbers *= size
    return whole and numbers < MOST_NUMBERS


def _make_weights(folder: Path) -> list[bytes]:
    torch.manual_seed(0)
    arch = _supernet().space.smallest
    weights.save(build(arch, JOINTS), folder / "made.safetensors", Subnet(arch, JOINTS))
    return [(folder / "made.safetensors").read_bytes()]


def _make_supernet(folder: Path) -> list[bytes]:
    weights.save_supernet(_supernet(), folder / "made.safetensors")
    return [(folder / "made.safetensors").read_bytes()]


def _make_starts(folder: Path) -> list[bytes]:
    space = _supernet().space
    torch.manual_seed(0)
    weights.save(build(space.smallest, JOINTS), folder / "net.safetensors", Subnet(space.smallest, JOINTS))
    weights.save_supernet(_supernet(), folder / "supernet.safetensors", "imagenet")
    return [(folder / f"{name}.safetensors").read_bytes() for name in ("net", "supernet")]


@cache
def _supernet() -> Supernet:
    return Supernet(Space(SMALL, "own"), JOINTS)


def _make_described(_: Path) -> list[bytes]:
    """What weights say of the people they were trained for, as a training writes it."""
    skeleton = make_skeleton(("nose", "left_hip", "right_hip"), [(0, 1), (0, 2)], [0.1] * 3)
    trained = {"supernet": {"path": "x", "sha256": ""}, "recipe": kept(Recipe(), TaskKind.TOPDOWN), "data": "people"}
    told = {**trained, "seed": 0, **describe(skeleton, TopDown(3, codec="plain"), "hand"), "score": {"ap": 0.5}}
    return [json.dumps(told).encode()]


def _use(path: Path) -> None:
    """Give a network what a file says of it, and ask for all that predicting and training again asks for."""
    try:
        info = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    net = path.with_name("net.safetensors")
    arch = _supernet().space.smallest
    try:
        weights.save(_small_net(), net, Subnet(arch, JOINTS, info))
    except (TypeError, ValueError, RecursionError):  # nothing that a file can hold
        return
    loaded = evaluate.load(str(net), "cpu")
    subjects(loaded.net.meta.get("category", "person"))
    overlay(np.zeros((8, 8, 3), np.uint8), [{"keypoints": np.ones((JOINTS, 3)), "score": 1.0}], loaded.skeleton)
    loaded.task.with_boxes({}) if loaded.task.kind.one_person else None
    pixels.words(str(subnet_of(net).info.get("pixels", pixels.DEFAULT)))
    recipe_of(subnet_of(net), str(net))
    starts.init_supernet(_supernet(), net)


@cache
def _small_net() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(_supernet().space.smallest, JOINTS)


def _start(path: Path) -> None:
    starts.init_supernet(_supernet(), path)


TARGETS = (
    Target("checkpoint", "checkpoint.pt", "torch", _make_checkpoint, checkpoint.load),
    Target("training-state", "checkpoint.pt", "torch", _make_training, _go_on),
    Target("foreign-checkpoint", "foreign.pth", "torch", _make_checkpoint, read_checkpoint),
    Target("import", "shapes.json", "json", _make_foreign, _import, turns=2),
    Target("weights", "net.safetensors", "tensors", _make_weights, weights.load),
    Target("supernet", "supernet.safetensors", "tensors", _make_supernet, weights.load_supernet),
    Target("described", "info.json", "json", _make_described, _use),
    Target("start", "start.safetensors", "tensors", _make_starts, _start),
)
