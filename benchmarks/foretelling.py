"""What foretells a fine-tuned network best: its inherited loss, its inherited AP, or its cost?

    python benchmarks/foretelling.py runs/demo/demo [--nets 8] [--least 33] [--most 40]

Takes the search of a finished demo, fine-tunes the first networks of its journal that cost so many MMAC as the demo
would, and prints Kendall's tau between what was known before and their AP on the validation pictures afterwards.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from scipy.stats import kendalltau

import litepose_nas as ln
from litepose_nas import weights
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.data.source import open_source
from litepose_nas.demo.scale import FULL
from litepose_nas.evaluation import evaluate
from litepose_nas.pose.make_task import make_task
from litepose_nas.runs import journal
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer, SupernetScorer
from litepose_nas.steps.common import read_data
from litepose_nas.supernet import calibrate, extract
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import Recipe, changed
from litepose_nas.train.trainee import NetTrainee

CPU = torch.device("cpu")
KNOWN = ("loss", "AP", "loss, all held out", "AP, all held out", "MMAC")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a finished demo")
    parser.add_argument("--nets", type=int, default=8)
    parser.add_argument("--least", type=float, default=33, help="MMAC")
    parser.add_argument("--most", type=float, default=40, help="MMAC")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    seed = int(Run.open(asked.run).settings["seed"])
    supernet = weights.load_supernet(asked.run / "supernet" / "weights" / "last.safetensors", device=CPU)
    source = open_source(str(asked.run / "people"))
    data, more = read_data(source, seed, FULL.slice), read_data(source, seed)
    recipe, steps = changed(Recipe(), (*FULL.supernet, *FULL.finetune)), FULL.finetune_steps
    task, val = make_task(data.skeleton, recipe.task_info), Pictures(source.read("val"))
    judge = Scorer(data.split, task, recipe, CPU, Protocol(FULL.calibration, FULL.calibration_batch))
    whole = SupernetScorer(supernet, Scorer(more.split, task, recipe, CPU, Protocol()))
    records = journal.read(asked.run / "search" / "journal.jsonl").records
    known = {
        supernet.space.arch(one["arch"]): one["result"] for one in records if "result" in one and "again" not in one
    }
    near = [arch for arch in known if asked.least <= ln.cost(arch).macs / 1e6 <= asked.most][: asked.nets]
    rows = []
    print("| MMAC | loss | AP | loss, all held out | AP, all held out | AP fine-tuned |\n|---|---|---|---|---|---|")
    for number, arch in enumerate(near):
        inherited, again = known[arch], whole(arch)
        trainee = NetTrainee(extract(supernet, arch), recipe, arch.input, CPU, data.joints, task=task)

        def stream(start, size=arch.input):  # type: ignore[no-untyped-def]
            return batches(data.split.train, size, recipe.batch, seed, recipe.augment, start, steps)

        with tempfile.TemporaryDirectory() as room, Run.create("foretelling", out=Path(room) / str(number)) as run:
            average = fit(trainee, stream, run, steps, every=Every(report=steps, check=steps, save=steps))
        assert average is not None
        trainee.store.flat.copy_(average)
        calibrate(trainee.net, judge.calibration(arch.input))
        ap = evaluate(trainee.net, val, task, arch.input, flip=FULL.flip)[0].ap
        macs = ln.cost(arch).macs / 1e6
        rows.append((-inherited["loss"], inherited["ap"], -again["loss"], again["ap"], macs, ap))
        print(
            f"| {macs:.1f} | {inherited['loss']:.4f} | {inherited['ap']:.3f} | {again['loss']:.4f} | {again['ap']:.3f} "
            f"| {ap:.3f} |"
        )
        sys.stdout.flush()
    print(f"\nKendall tau with the fine-tuned AP of {len(rows)} networks:")
    for column, name in enumerate(KNOWN):
        tau = kendalltau([row[column] for row in rows], [row[-1] for row in rows])
        print(f"  {name:<20} {tau.statistic:+.2f} (p {tau.pvalue:.3f})")


if __name__ == "__main__":
    main()
