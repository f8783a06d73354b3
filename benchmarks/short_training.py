"""What helps when a training has minutes: one network from scratch, a changed recipe a row, as many pictures each.

    python benchmarks/short_training.py [--pictures 4000] [--seed 0] [--only batch-8 ...]

The widest network of the tiny space learns drawn people, one thread; AP with the mirrored pass on 128 validation
pictures. Rows see the same number of pictures, so fewer pixels or smaller networks cost less time: it stands beside.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

import litepose_nas as ln
from litepose_nas import devices
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.data.source import open_source
from litepose_nas.demo.scale import FULL
from litepose_nas.evaluation import evaluate
from litepose_nas.pose.make_task import make_task
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.steps.common import read_data
from litepose_nas.supernet import calibrate
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import Recipe, changed
from litepose_nas.train.trainee import NetTrainee

CPU = torch.device("cpu")
AUGMENTED = ("rotation=30", "scale=0.75,1.5", "translate=0.1", "colour=0.2")
# Against the demo's recipe: pixels of the input, and settings.
ROWS: dict[str, tuple[int, tuple[str, ...]]] = {
    "demo": (128, ()),
    "batch-8": (128, ("batch=8", "lr=0.02")),
    "batch-16": (128, ("batch=16", "lr=0.02")),
    "lightly augmented": (128, ("rotation=5", "scale=0.9,1.15", "translate=0.05", "colour=0.1")),
    "augmented as by default": (128, AUGMENTED),
    "sigma-1.5": (128, ("sigma=1.5",)),
    "96 px": (96, ()),
    "64 px": (64, ()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=4000, help="that each row learns from, repeats included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| row | steps | CPU seconds | AP | AP50 | AP75 |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        write_toy(room / "people", FULL.train, FULL.val, FULL.size, asked.seed, FULL.setting)
        source = open_source(str(room / "people"))
        data, val = read_data(source, asked.seed, FULL.slice), Pictures(source.read("val"))
        for row in asked.only:
            pixels, settings = ROWS[row]
            size, recipe = (pixels, pixels), changed(Recipe(), (*FULL.supernet, "ema=0.99", *settings))
            steps = asked.pictures // recipe.batch
            torch.manual_seed(asked.seed)
            net = ln.build(ln.Space.load(FULL.space).widest, data.joints)
            task = make_task(data.skeleton, recipe.task_info)
            trainee = NetTrainee(net, recipe, size, CPU, data.joints, task=task)

            def stream(start, size=size, recipe=recipe, steps=steps):  # type: ignore[no-untyped-def]
                return batches(data.split.train, size, recipe.batch, asked.seed, recipe.augment, start, steps)

            start = time.process_time()
            with Run.create("short", out=room / row) as run:
                average = fit(trainee, stream, run, steps, every=Every(report=steps, check=steps, save=steps))
            seconds = time.process_time() - start
            assert average is not None
            trainee.store.flat.copy_(average)
            calibrate(net, Scorer(data.split, task, recipe, CPU, Protocol()).calibration(size))
            found, _ = evaluate(devices.place(net, CPU), val, task, size, flip=True)
            print(f"| {row} | {steps} | {seconds:.0f} | {found.ap:.3f} | {found.ap50:.3f} | {found.ap75:.3f} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
