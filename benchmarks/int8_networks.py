"""The two networks of the benchmark int8.py, trained into a folder where they are not there yet.

Faces: a top-down network of real_space.yaml on faces68, with a quarter of the split `train` held out, other people all
of them. Drawn people: a bottom-up network of the demo's space on the demo's people.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from real_pictures import EYES

from litepose_nas import costs, weights
from litepose_nas.data.source import open_source
from litepose_nas.demo.scale import FULL
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.network import build
from litepose_nas.pose.make_task import make_task
from litepose_nas.space import Space
from litepose_nas.steps import finetune
from litepose_nas.steps.common import describe
from litepose_nas.steps.finetune import FinetuneOptions
from litepose_nas.steps.training import begin_or_resume
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.recipe import TOPDOWN, Length, Recipe, changed, kept

LITTLE = ("batch=4", "rotation=0", "scale=1,1", "translate=0.03", "colour=0")  # for no picture comes often
HELD_OUT = 0.25


class Trained(NamedTuple):
    weights: Path
    data: str


class Plan(NamedTuple):
    space: str
    mmacs: tuple[float, float]  # of the network, the first drawn one in between
    size: int
    recipe: Recipe
    rate: str
    steps: int
    data: Callable[[Path], str]


def faces(room: Path) -> str:
    """A YAML of faces68 whose split `val` is a part of its split `train`."""
    folder = Path(os.environ["POSE_REAL_DATA"]).resolve() / "faces68"
    document = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    words = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    people_shown = sorted({_person(image) for image in document["images"]})
    random.Random(0).shuffle(people_shown)
    held_out = set(people_shown[: int(HELD_OUT * len(people_shown))])
    for name, held in (("train", False), ("val", True)):
        images = [image for image in document["images"] if (_person(image) in held_out) == held]
        ids = {image["id"] for image in images}
        people = [person for person in document["annotations"] if person["image_id"] in ids]
        kept_part = room / f"faces-{name}.json"
        kept_part.write_text(json.dumps({**document, "images": images, "annotations": people}), encoding="utf-8")
        words[name] = {"images": str(folder / "train.zip" / "train"), "annotations": str(kept_part)}
    words = {key: value for key, value in words.items() if key != "test"}
    named = room / "faces.yaml"
    named.write_text(yaml.safe_dump({**words, "nme_joints": list(EYES)}), encoding="utf-8")
    return str(named)


def _person(image: dict[str, Any]) -> str:
    """Of a picture whose name is that of a person and a number."""
    return str(image["file_name"]).rsplit("/", 1)[-1].rsplit("_", 1)[0]


def drawn(room: Path) -> str:
    folder = room / "people"
    if not folder.exists():
        write_toy(folder, FULL.train, FULL.val, FULL.size, 0, FULL.setting)
    return str(folder)


PLANS = {
    "faces": Plan(
        str(Path(__file__).with_name("real_space.yaml")),
        (25, 35),
        96,
        changed(TOPDOWN, (*LITTLE, "clip=0.2", "foreground=5"), "topdown"),
        "lr=0.02",
        6000,
        faces,
    ),
    "drawn": Plan(FULL.space, (36, 44), 128, changed(Recipe(), LITTLE, "bottomup"), "lr=0.015", 3000, drawn),
}


def trained(name: str, room: Path) -> Trained:
    """The weights of a network and the name of its data; a training that was stopped goes on."""
    plan, room = PLANS[name], room.resolve()
    room.mkdir(parents=True, exist_ok=True)
    data, ready = plan.data(room), room / f"{name}.safetensors"
    if ready.exists():
        return Trained(ready, data)
    source, space = open_source(data), Space.load(plan.space)
    skeleton = source.read("train").skeleton
    joints, draw = len(skeleton.names), random.Random(0)
    low, high = (1e6 * limit for limit in plan.mmacs)
    while True:
        arch = space.sample(draw)
        if arch.input[0] == plan.size and low < costs.cost(arch, joints=joints).macs < high:
            break
    task = make_task(skeleton, plan.recipe.task_info, space.task)
    begun = {"supernet": {}, "recipe": kept(plan.recipe, space.task), "data": data, "seed": 0}
    start = room / f"{name}-start.safetensors"
    torch.manual_seed(0)
    weights.save(build(arch, joints), start, Subnet(arch, joints, {**begun, **describe(skeleton, task)}))
    options = FinetuneOptions(start, (plan.rate, "ema=0.99"), Length(steps=plan.steps), device="cpu", amp="off")
    run, training = begin_or_resume(
        finetune.VERB,
        room / f"{name}-training",
        lambda: finetune.plan(options, source),
        lambda run: finetune.load(run, source, "cpu"),
    )
    with run:
        path, scores = finetune.finetune(run, training)
    print(f"{name}: trained, {scores}", flush=True)
    shutil.copyfile(path, ready)
    return Trained(ready, data)
