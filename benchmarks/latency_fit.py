"""How far fitted milliseconds are off: networks held out, larger pictures, deeper networks, the ends of the space.

    scripts/bench benchmarks/latency_fit.py samples.json ...

Each file holds at least 100 networks of a space, measured with nothing else running:
`litepose-nas latency measure SPACE --nets 104 --minutes 5 --out samples.json`.
Fits see 40 of them, with the share of extremes that `latency measure` takes, and all blocks that were measured alone.
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from litepose_nas.latency import fit as fitting
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.features import features, part_features
from litepose_nas.latency.fit import ONE, LatencyFit
from litepose_nas.latency.networks import EXTREMES
from litepose_nas.latency.samples import EXTREME, LatencySample

KNOWN, SPLITS = 40, 10  # networks fitted on, random draws of them


class Measured(NamedTuple):
    sample: LatencySample
    counts: dict[str, int]

    @property
    def end(self) -> bool:
        return self.sample.role == EXTREME

    @property
    def depth(self) -> int:
        return self.counts["operations"]


class Judged(NamedTuple):
    mape: float
    alone: float  # MAPE of MACs alone
    within_5: float
    within_10: float
    tau: float
    below: float  # share below the bound


Blocks = Sequence[tuple[dict[str, int], float]]


def fitted(known: Sequence[Measured], blocks: Blocks, noise: float) -> LatencyFit:
    ms = [one.sample.ms for one in known]
    return fitting.fit([one.counts for one in known], ms, [one.end for one in known], noise, blocks=blocks)


def judged(known: Sequence[Measured], others: Sequence[Measured], blocks: Blocks, noise: float) -> Judged:
    fit = fitted(known, blocks, noise)
    rows = [{ONE: 1, **one.counts} for one in others]
    guesses = np.array([fit.ms([row[name] for name in fit.weights]) for row in rows])
    y = np.array([one.sample.ms for one in others])
    errors = fitting.errors_of(guesses, y)
    terms = fitting.MODELS[fitting.BASELINE]
    x = fitting._matrix([{ONE: 1, **one.counts} for one in known], terms)
    macs = fitting._matrix(rows, terms) @ fitting._nnls(x, np.array([one.sample.ms for one in known]))
    alone = fitting.errors_of(macs, y).mape
    below = float((y <= guesses * fit.factor).mean())
    return Judged(errors.mape, alone, errors.within_5, errors.within_10, errors.tau, below)


def mean(found: Sequence[Judged]) -> Judged:
    return Judged(*[sum(column) / len(found) for column in zip(*found, strict=True)])


def say(name: str, known: int, others: int, one: Judged) -> None:
    shares = f"{one.mape:.1%} | {one.alone:.1%} | {one.within_5:.0%} | {one.within_10:.1%}"
    print(f"| {name} | {known} | {others} | {shares} | {one.tau:.3f} | {one.below:.1%} |")


def study(path: str, covered: dict[str, list[tuple[int, float]]]) -> None:
    for measured in profile_file.read_samples(path):
        words = f"{measured.runtime} {measured.runtime_version}, {measured.threads} thread(s)"
        alone = f"{len(measured.blocks)} blocks alone"
        print(f"\n{words}, noise {measured.noise:.1%}, {len(measured.samples)} networks and {alone}\n")
        head = (
            "networks left out",
            "fitted on",
            "left out",
            "MAPE",
            "MACs alone",
            "within 5 %",
            "10 %",
            "tau",
            "below",
        )
        print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
        for name in measured.spaces:
            own = [one for one in measured.samples if one.arch.space.name == name]
            rows = [Measured(one, features(one.arch, measured.joints)) for one in own]
            blocks = [
                (part_features(one.arch, measured.joints, one.part), one.ms)
                for one in measured.blocks
                if one.arch.space.name == name
            ]
            drawn, ends = [one for one in rows if not one.end], [one for one in rows if one.end]
            first = ends[: int(EXTREMES * KNOWN)]
            take = KNOWN - len(first)
            found, without = [], []
            for seed in range(SPLITS):
                mixed = random.Random(seed).sample(drawn, len(drawn))
                known, others = [*mixed[:take], *first], mixed[take:]
                found.append(judged(known, others, blocks, measured.noise))
                if blocks:
                    without.append(judged(known, others, [], measured.noise))
            covered[measured.runtime].append((len(drawn) - take, mean(found).below))
            say(f"{name}: random ones", KNOWN, len(drawn) - take, mean(found))
            if without:
                say(f"{name}: random ones, without blocks", KNOWN, len(drawn) - take, mean(without))
            sizes = sorted({one.sample.arch.input for one in drawn})
            deep = sorted(one.depth for one in drawn)[2 * len(drawn) // 3]
            for what, out in (
                ("largest pictures", [one for one in drawn if one.sample.arch.input == sizes[-1]]),
                ("the deepest third", [one for one in drawn if one.depth >= deep]),
                ("ends of the space", ends),
            ):
                kept = [one for one in drawn if one not in out]
                if len(kept) >= fitting.FEWEST and out:
                    # Blocks of larger pictures may be known: what is left out is whole networks.
                    say(f"{name}: {what}", len(kept), len(out), judged(kept, out, blocks, measured.noise))


if __name__ == "__main__":
    pooled: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for file in sys.argv[1:]:
        study(file, pooled)
    print()
    for runtime, found in pooled.items():
        total = sum(count for count, _ in found)
        share = sum(count * below for count, below in found) / total
        print(f"{runtime}: {share:.1%} below the bound, pooled over {len(found)} spaces with {total} networks held out")
