"""What a pretrained backbone is worth: a supernet of people's 17 joints, started from weights of other drawn pictures.

    python benchmarks/transfer.py [--seeds 0 1] [--before 300] [--steps 100] [--other mpii]

A tiny space of LEViTPose's family. First a supernet learns other drawn pictures: people with MPII's 16 joints, or robot
arms, drawn from another seed. Then supernets learn a few people with COCO's 17 joints, the same for all, from their own
random start and from those weights, whose last layer has other joints and is left out. In every training the widest
network alone learns, one thread. AP and AP50 of that network, and the share of joints within 0.1 of their person's box,
on 40 pictures of people that no training saw; all people stand ("easy").
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from litepose_nas import weights
from litepose_nas.data.loader import Pictures
from litepose_nas.data.source import Source, open_source
from litepose_nas.evaluation import evaluate
from litepose_nas.metrics import coco, pck
from litepose_nas.pose.make_task import make_task
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.steps import train_supernet
from litepose_nas.supernet import calibrate, extract
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.loop import Every
from litepose_nas.train.recipe import TOPDOWN, Length, changed

SPACE = """
family: levitpose
resolution: "64x48"
embedding: light
stages:
- {depth: 1, width: [16, 24], attention: pool4, heads: "3-3", key: 8, expand: [1, 2]}
- {depth: 1, width: [24, 40], attention: pool4, heads: "3-3", key: 8, expand: [1, 2], down: conv}
- {depth: [1, 2], width: [32, 64], attention: window4, heads: "3-3", key: 8, expand: [1, 2], down: conv}
head:
- {form: light, width: [24, 32], kernel: 4, groups: 4}
- {form: light, width: [24, 32], kernel: 4, groups: 4}
"""
RECIPE = changed(TOPDOWN, ("batch=8", "widest_first=1", "half_body=0"), "topdown")
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--before", type=int, default=300, help="steps on the other pictures")
    parser.add_argument("--steps", type=int, nargs="+", default=[100], help="on the people, the same for both")
    parser.add_argument("--other", choices=("mpii", "arm"), default="mpii")
    parser.add_argument("--few", type=int, default=40, help="pictures of people with COCO's joints")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("AP / AP50 / share of joints within 0.1 of the box\n")
    print(f"| seed | steps | from scratch | after {asked.before} steps on {asked.other} | CPU seconds |")
    print("|---|---|---|---|---|")
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as name:
            room, began = Path(name), time.process_time()
            (room / "space.yaml").write_text(SPACE)
            how = {"skeleton": "mpii"} if asked.other == "mpii" else {"subject": "arm"}
            setting = "standard" if asked.other == "arm" else "easy"
            write_toy(room / "others", 150, 1, 96, 1000 + seed, setting, **how)  # type: ignore[arg-type]
            write_toy(room / "people", asked.few, 40, 96, seed, "easy")
            others, people = (open_source(str(room / name)) for name in ("others", "people"))
            first = train(room, "before", others, asked.before, seed, None)
            for steps in asked.steps:
                scratch, started = (
                    score(train(room, f"{way}-{steps}", people, steps, seed, init), people, seed)
                    for way, init in (("scratch", None), ("started", first))
                )
                seconds = time.process_time() - began
                print(f"| {seed} | {steps} | {scratch} | {started} | {seconds:.0f} |")
                sys.stdout.flush()


def train(room: Path, name: str, source: Source, steps: int, seed: int, init: Path | None) -> Path:
    """Train a supernet as the command does; return the file of its weights."""
    wishes = train_supernet.Wishes(
        str(room / "space.yaml"), RECIPE, Length(steps=steps), seed, "cpu", "off", str(init) if init else None
    )
    ready = train_supernet.prepare(wishes, source, lambda _: None)
    with Run.create("transfer", settings=ready[3].settings, out=room / name) as run:
        train_supernet.train(run, *ready, None, Every(report=steps, check=steps, save=steps))
    return room / name / train_supernet.WEIGHTS


def score(file: Path, source: Source, seed: int) -> str:
    """Return what the widest network of a trained supernet reaches: AP, AP50, and the share of joints that are near."""
    supernet = weights.load_supernet(file)
    net = extract(supernet, supernet.space.widest)
    data = train_supernet.read_data(source, seed, task="topdown")
    task, size = make_task(data.skeleton, RECIPE.task_info, "topdown"), supernet.space.widest.input
    calibrate(net, Scorer(data.split, task, RECIPE, CPU, Protocol()).calibration(size))
    val = source.read("val")
    found, results = evaluate(net.eval(), Pictures(val), task, size)
    truth = coco.read_truth(val.annotations)
    errors = pck.errors_of(coco.labels_of(truth), coco.found_of(truth, results), data.skeleton.names)
    return f"{found.ap:.3f} / {found.ap50:.3f} / {pck.mean_pck(errors, 0.1):.3f}"


if __name__ == "__main__":
    main()
