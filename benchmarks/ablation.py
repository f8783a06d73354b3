"""What makes a supernet rank networks as training them alone does? Supernets trained in other ways, against one truth.

    python benchmarks/audit.py        # first: its networks trained alone are the truth
    python benchmarks/ablation.py [--folder audit-benchmark]

Each line is one way to train the supernet or to calibrate its networks; everything else is the audit's. `given cost`
is the partial Kendall tau: what a score knows of the truth beyond what the cost tells of both, over all pairs of
networks. Killed, the same line goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from audit import run

from litepose_nas.budget import Budget
from litepose_nas.data.source import open_source
from litepose_nas.demo.scale import FULL
from litepose_nas.runs.run import Run
from litepose_nas.search.rank_correlation import Interval, resamples, strata, tau
from litepose_nas.search.scoring import Protocol
from litepose_nas.steps import audit, search
from litepose_nas.steps.common import MOST_IN_SLICE

DRAWS = 500


class Way(NamedTuple):
    """One line of the table: settings of the supernet's training that differ from the audit's, or of the scoring."""

    name: str
    folder: str
    settings: tuple[str, ...] = ()
    steps: int = FULL.supernet_steps
    seed: int = 0
    protocol: Protocol = Protocol()


WAYS = (
    Way("as audited", "supernet"),
    Way("another seed", "seed-1", seed=1),
    Way("calibrated with 16 pictures", "supernet", protocol=Protocol(calibration=16)),
    Way("calibrated with 512 pictures", "supernet", protocol=Protocol(calibration=512)),
    Way("calibrated in batches of 4, as trained", "supernet", protocol=Protocol(batch=4)),
    Way("calibrated in batches of 64", "supernet", protocol=Protocol(batch=64)),
    Way("no distillation", "distill-0", ("distill=0",)),
    Way("distillation alone", "distill-1", ("distill=1",)),
    Way("no sandwich: one random net a step", "sandwich-no", ("sandwich=false",)),
    Way("three random nets a step", "random-3", ("random_nets=3",)),
    Way("no warm-up of the widest", "first-0", ("widest_first=0",)),
    Way("widest alone for half of the steps", "first-5", ("widest_first=0.5",)),
)


def partial(x: Sequence[float], y: Sequence[float], cost: Sequence[float]) -> float:
    """Return the partial Kendall tau of x and y given the cost."""
    xy, xc, yc = tau(x, y), tau(x, cost), tau(y, cost)
    return (xy - xc * yc) / float(np.sqrt((1 - xc**2) * (1 - yc**2)))


def interval(x: Sequence[float], y: Sequence[float], cost: Sequence[float]) -> Interval:
    """Return the partial tau and the middle 95 % of it over draws of the networks."""
    columns = np.array([x, y, cost])
    found = []
    for line in resamples(len(x), DRAWS, 0):
        drawn = columns[:, np.repeat(np.arange(len(x)), line.astype(int))]
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(partial(*drawn.tolist()))
    low, high = np.nanquantile(found[1:], (0.025, 0.975)).tolist()
    return Interval(found[0], low, high)


def scores_of(folder: Path, way: Way, audited: Run) -> list[dict[str, float]]:
    """Return what the audit's networks inherit in this way."""
    source = open_source(str(folder / "people"))
    made = search.prepare(
        Run.open(folder / way.folder),
        source,
        Budget(),
        "cpu",
        False,
        protocol=way.protocol,
        most_in_slice=MOST_IN_SLICE,
    )
    archs = audit.spread_over_cost(made.problem, audited.settings["nets"], audited.settings["seed"])
    return [made.candidates(arch) for arch in archs]


def main() -> None:
    """Train what is not trained yet, score, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("audit-benchmark"))
    asked = parser.parse_args()
    folder: Path = asked.folder
    torch.set_num_threads(1)
    audited = Run.open(folder / "audit")
    records = [json.loads(line) for line in audited.journal.read_text(encoding="utf-8").splitlines()[1:]]
    cost = [record["cost"]["macs"] for record in sorted(records, key=lambda r: r["net"]) if "cost" in record]
    alone = {(record["net"], record["seed"]): record["alone"] for record in records if "alone" in record}
    seeds = range(audited.settings["seeds"])
    truth = {
        word: [sign * float(np.mean([alone[net, seed][word] for seed in seeds])) for net in range(len(cost))]
        for word, sign in (("loss", -1), ("ap", 1))
    }
    inside = strata(cost)
    print(f"{len(cost)} networks; truth: minus the loss of networks trained alone, mean over {len(seeds)} seeds")
    print(
        f"{'inherited loss of a supernet':40} {'tau':>5} {'inside octiles':>15}  given cost           by AP, given cost"
    )
    print(f"{'cost alone':40} {tau(cost, truth['loss']):5.2f} {tau(cost, truth['loss'], inside):15.2f}")
    one, other = ([-alone[net, seed]["loss"] for net in range(len(cost))] for seed in (0, 1))
    ceiling = interval(one, other, cost)
    print(f"{'another training alone':40} {tau(one, other):5.2f} {tau(one, other, inside):15.2f}  {ceiling}")
    for way in WAYS:
        recipe = [*FULL.supernet]
        for setting in way.settings:
            key = setting.partition("=")[0]
            recipe = [*(kept for kept in recipe if not kept.startswith(f"{key}=")), setting]
        words = ("--space", "space.yaml", "--data", "people", "--steps", str(way.steps), "--seed", str(way.seed))
        run(folder, way.folder, "train-supernet", *words, "--device", "cpu", *recipe)
        found = scores_of(folder, way, audited)
        loss, ap = [-each["loss"] for each in found], [each["ap"] for each in found]
        known = interval(loss, truth["loss"], cost), interval(ap, truth["loss"], cost)
        print(
            f"{way.name:40} {tau(loss, truth['loss']):5.2f} {tau(loss, truth['loss'], inside):15.2f}  "
            f"{known[0]!s:20} {known[1]}",
            flush=True,
        )


if __name__ == "__main__":
    main()
