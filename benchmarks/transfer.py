"""Is a backbone worth keeping? A supernet from scratch, and one started from a network that learned other drawn people.

    python benchmarks/transfer.py [--seeds 0 1] [--before 500] [--steps 150]

The network that comes before is the widest of a small MobileViTPose; it learns people of another setting and seed, with
one joint less, so that its output layer fits nobody and starts anew, as a new dataset would have it. Then two supernets
learn a few new people for equally many steps, everything else alike: one from scratch, one by `--init`. Their widest
networks look at held-out pictures: AP, and the loss.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

import litepose_nas as ln
from litepose_nas import weights
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.data.source import Source, open_source
from litepose_nas.data.toy import write_toy
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.runs.run import Run
from litepose_nas.scoring import Held, Judge, Protocol
from litepose_nas.steps import train_supernet
from litepose_nas.steps.common import read_data, task_of
from litepose_nas.supernet import calibrate, extract
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import TOPDOWN, Length, changed
from litepose_nas.train.trainee import NetTrainee

CPU = torch.device("cpu")
SPACE = """\
family: mobilevitpose
resolution: ["96x72"]
block: official
stem: [8, 16]
stages:
- {depth: 1, width: [8, 16], kernel: [3, 5], expand: [2, 4]}
- {depth: [1, 2], width: [16, 24], kernel: [3, 5], expand: [2, 4]}
- depth: 1
  width: [24, 32]
  kernel: [3, 5]
  expand: [2, 4]
  mix: {depth: [1, 2], width: [32, 48], heads: [2, 4], expand: 2, patch: 2, kernel: [1, 3]}
- {depth: 1, width: [32, 48], kernel: [3, 5], expand: [2, 4]}
- {depth: 1, width: [48, 64], kernel: 3, expand: 2}
last: {expand: 2}
head:
- {width: [32, 48], kernel: 4, groups: [4, 1]}
- {width: [24, 32], kernel: 4, groups: [4, 1]}
- {width: [24, 32], kernel: 4, groups: 1}
"""
RECIPE = ("batch=16", "lr=0.005", "rotation=15", "scale=0.9,1.1", "half_body=0", "colour=0.1")
EVERY = 10**9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--before", type=int, default=500, help="steps of the network that comes before")
    parser.add_argument("--steps", type=int, default=150, help="of either supernet")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| seed | start | steps | CPU seconds | AP | loss |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        (room / "space.yaml").write_text(SPACE)
        for seed in asked.seeds:
            folder = room / str(seed)
            write_toy(folder / "before", 400, 1, 128, 100 + seed, "easy")
            drop_joint(folder / "before")
            write_toy(folder / "people", 48, 48, 128, seed, "standard")
            start = folder / "before.safetensors"
            learn_before(room / "space.yaml", open_source(str(folder / "before")), asked.before, seed, start)
            source = open_source(str(folder / "people"))
            for words, init in (("scratch", None), ("other people", str(start))):
                scores, seconds = learn(room, source, asked.steps, seed, init)
                row = (
                    f"| {seed} | {words} | {asked.steps} | {seconds:.0f} | {scores['ap']:.3f} | {scores['loss']:.4f} |"
                )
                print(row)
                sys.stdout.flush()


def drop_joint(folder: Path) -> None:
    """Leave the first joint out of a drawn dataset."""
    for path in folder.rglob("*.json"):
        data = json.loads(path.read_text())
        if "annotations" not in data:
            continue
        for person in data["annotations"]:
            person["keypoints"] = person["keypoints"][3:]
            person["num_keypoints"] = sum(flag > 0 for flag in person["keypoints"][2::3])
        for category in data["categories"]:
            category["keypoints"] = category["keypoints"][1:]
            category["skeleton"] = [[a - 1, b - 1] for a, b in category.get("skeleton", []) if min(a, b) > 1]
        path.write_text(json.dumps(data))
    for path in folder.glob("*.yaml"):
        path.unlink()  # it names the joint too


def learn_before(space: Path, source: Source, steps: int, seed: int, out: Path) -> None:
    """Train the widest network of a space alone and write it."""
    data, recipe = read_data(source, seed), changed(TOPDOWN, RECIPE, "topdown")
    torch.manual_seed(seed)
    arch = ln.Space.load(str(space)).widest
    net = ln.build(arch, data.joints)
    task = task_of(data.skeleton, recipe, "topdown")
    trainee = NetTrainee(net, recipe, arch.input, CPU, data.joints, task=task)

    def stream(start):  # type: ignore[no-untyped-def]
        make = task.train_batch
        return batches(data.held.rest, arch.input, recipe.batch, seed, recipe.augment, start, steps, make_batch=make)

    with Run.create("before", out=out.with_suffix(".run")) as run:
        fit(trainee, stream, run, steps, every=Every(steps, steps, steps))
    calibrate(net, Judge(data.held, task, recipe, CPU, Protocol()).calibration(arch.input))
    weights.save(net, out, Subnet(arch, data.joints, {"pixels": recipe.pixels}))


def learn(room: Path, source: Source, steps: int, seed: int, init: str | None) -> tuple[dict[str, float], float]:
    """Train a supernet and return how its widest network scores on pictures it never saw, and the CPU seconds."""
    began = time.process_time()
    recipe = changed(TOPDOWN, (*RECIPE, "widest_first=0"), "topdown")
    length = Length(steps=steps)
    wishes = train_supernet.Wishes(str(room / "space.yaml"), recipe, length, seed, "cpu", "off", init)
    supernet, data, trainee, plan = train_supernet.prepare(wishes, source, lambda text: None)
    place = room / str(seed) / ("started" if init else "scratch")
    with Run.create("transfer", settings=plan.settings, out=place) as run:
        train_supernet.train(run, supernet, data, trainee, plan, every=Every(steps, EVERY, EVERY))
    held = Held(Pictures(source.read("val")), data.held.rest)
    widest = supernet.space.widest
    scores = Judge(held, trainee.task, recipe, CPU, Protocol())(extract(supernet, widest), widest.input)
    return scores, time.process_time() - began


if __name__ == "__main__":
    main()
