"""Does the supernet rank networks as training them alone does? An early reading on drawn people and one processor.

    python benchmarks/ranking.py [--steps 2000] [--alone 1000] [--nets 8] [--seed 0]

Eight networks of nearly the same cost (one octile of the tiny space's costs, at one resolution) are scored twice on
the same held-out slice: with the weights that they inherit, calibrated; and trained alone from scratch. Kendall's tau
compares the two orders of losses and of APs, and for comparison the order of costs alone. People and recipe are the
demo's.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import torch
from scipy.stats import kendalltau

import litepose_nas as ln
from litepose_nas import costs, devices
from litepose_nas.data.loader import batches
from litepose_nas.data.source import open_source
from litepose_nas.demo.scale import FULL
from litepose_nas.pose.make_task import make_task
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer, SupernetScorer
from litepose_nas.steps.common import Data, read_data
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import Recipe, changed
from litepose_nas.train.trainee import NetTrainee, SupernetTrainee, Trainee

SIZE = (96, 96)
CPU = torch.device("cpu")


def one_octile(space: ln.Space, count: int, seed: int) -> list[ln.Arch]:
    """Return networks of one resolution from the fifth octile of the costs."""
    rng = random.Random(seed)
    drawn = {space.arch({**space.sample(rng).to_dict(), "resolution": SIZE[0]}) for _ in range(4000)}
    archs = sorted(drawn, key=lambda arch: arch.values)
    macs = costs.many(archs)[:, 0]
    ranked = [archs[i] for i in macs.argsort()]
    octile = ranked[len(ranked) * 4 // 8 : len(ranked) * 5 // 8]
    return rng.sample(octile, count)


def run_training(folder: Path, trainee: Trainee, data: Data, recipe: Recipe, steps: int, seed: int) -> None:
    """Train from scratch."""

    def stream(start: int):  # type: ignore[no-untyped-def]
        return batches(data.split.train, SIZE, recipe.batch, seed, recipe.augment, start, steps)

    with Run.create("ranking", out=folder) as run:
        fit(trainee, stream, run, steps, every=Every(report=steps, check=steps, save=steps))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--alone", type=int, default=1000)
    parser.add_argument("--nets", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    space, recipe = ln.Space.load("litepose-tiny"), changed(Recipe(), FULL.supernet)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        write_toy(room / "people", FULL.train, 1, FULL.size, asked.seed, FULL.setting)
        data = read_data(open_source(str(room / "people")), asked.seed)
        judge = Scorer(data.split, make_task(data.skeleton, recipe.task_info, space.task), recipe, CPU, Protocol())
        torch.manual_seed(asked.seed)
        supernet = ln.Supernet(space, data.joints, memory_format=devices.layout(CPU))
        trainee = SupernetTrainee(supernet, recipe, asked.steps, asked.seed, SIZE)
        run_training(room / "supernet", trainee, data, recipe, asked.steps, asked.seed)
        trained = time.perf_counter() - start
        candidates, archs = SupernetScorer(supernet, judge), one_octile(space, asked.nets, asked.seed)
        rows = []
        for number, arch in enumerate(archs):
            inherited = candidates(arch)
            torch.manual_seed(asked.seed)
            net = devices.place(ln.build(arch, data.joints), CPU)
            alone = NetTrainee(net, recipe, SIZE, CPU, data.joints)
            run_training(room / f"alone-{number}", alone, data, recipe, asked.alone, asked.seed)
            scores = judge(net, SIZE)
            rows.append((ln.cost(arch).macs, inherited, scores))
    print(f"torch {torch.__version__}, 1 thread; supernet {asked.steps} steps in {trained:.0f} s, {asked.alone} alone")
    print(f"all in {time.perf_counter() - start:.0f} s; batch {recipe.batch}, {SIZE[0]} px, seed {asked.seed}\n")
    print("| MMAC | inherited loss | inherited AP | alone loss | alone AP |\n|---|---|---|---|---|")
    for macs, one, other in sorted(rows, key=lambda row: row[2]["loss"]):
        print(f"| {macs / 1e6:.1f} | {one['loss']:.4f} | {one['ap']:.3f} | {other['loss']:.4f} | {other['ap']:.3f} |")
    alone_loss = [other["loss"] for _, _, other in rows]
    tau = kendalltau([one["loss"] for _, one, _ in rows], alone_loss)
    alone_ap = [other["ap"] for _, _, other in rows]
    of_ap = kendalltau([one["ap"] for _, one, _ in rows], alone_ap)
    by_cost = kendalltau([-macs for macs, _, _ in rows], alone_loss)
    print(
        f"\nKendall tau of losses, inherited against alone: {tau.statistic:.2f} (p {tau.pvalue:.2f}, {len(rows)} nets)"
    )
    print(f"Kendall tau of APs: {of_ap.statistic:.2f} (p {of_ap.pvalue:.2f})")
    print(f"Kendall tau of cost alone (dearer is better): {by_cost.statistic:.2f} (p {by_cost.pvalue:.2f})")


if __name__ == "__main__":
    main()
