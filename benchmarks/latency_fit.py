"""How far fitted milliseconds are off: networks held out, larger pictures, deeper networks, the ends of the space.

    scripts/bench benchmarks/latency_fit.py samples.json ...

Each file holds at least 100 networks of a space, measured with nothing else running:
`litepose-nas latency measure SPACE --nets 110 --minutes 10 --out samples.json`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import NamedTuple

from litepose_nas.latency import fit as fitting
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.features import features
from litepose_nas.latency.fit import ONE, LatencyFit
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


def fitted(known: Sequence[Measured], noise: float) -> LatencyFit:
    ms = [one.sample.ms for one in known]
    return fitting.fit([one.counts for one in known], ms, [one.end for one in known], noise)


def judged(known: Sequence[Measured], others: Sequence[Measured], noise: float) -> list[float]:
    """MAPE, MAPE of MACs alone, shares within 5 and 10 %, tau, and the share below the bound."""
    import numpy as np

    fit = fitted(known, noise)
    rows = [{ONE: 1, **one.counts} for one in others]
    guesses = np.array([fit.ms([row[name] for name in fit.weights]) for row in rows])
    y = np.array([one.sample.ms for one in others])
    errors = fitting.errors_of(guesses, y)
    terms = fitting.MODELS[fitting.BASELINE]
    x = fitting._matrix([{ONE: 1, **one.counts} for one in known], terms)
    macs = fitting._matrix(rows, terms) @ fitting._nnls(x, np.array([one.sample.ms for one in known]))
    alone = fitting.errors_of(macs, y).mape
    below = float((y <= guesses * fit.factor).mean())
    return [errors.mape, alone, errors.within_5, errors.within_10, errors.tau, below]


def say(name: str, known: int, others: int, figures: Sequence[float]) -> None:
    mape, alone, five, ten, tau, below = figures
    print(
        f"| {name} | {known} | {others} | {mape:.1%} | {alone:.1%} | {five:.0%} | {ten:.0%} | {tau:.3f} | {below:.1%} |"
    )


def study(path: str) -> None:
    for measured in profile_file.read_samples(path):
        print(f"\n{measured.runtime} {measured.runtime_version}, noise {measured.noise:.1%}, {path}\n")
        print(
            "| networks left out | fitted on | left out | MAPE | MACs alone | within 5 % | 10 % | tau | below bound |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for name in measured.spaces:
            own = [one for one in measured.samples if one.arch.space.name == name]
            rows = [Measured(one, features(one.arch, measured.joints)) for one in own]
            drawn, ends = [one for one in rows if not one.end], [one for one in rows if one.end]
            found = []
            for seed in range(SPLITS):
                mixed = random.Random(seed).sample(drawn, len(drawn))
                take = KNOWN - len(ends)
                found.append(judged([*mixed[:take], *ends], mixed[take:], measured.noise))
            mean = [sum(column) / SPLITS for column in zip(*found, strict=True)]
            say(f"{name}: random ones", KNOWN, len(drawn) - take, mean)
            sizes = sorted({one.sample.arch.input for one in drawn})
            deep = sorted(one.depth for one in drawn)[2 * len(drawn) // 3]
            for words, out in (
                ("largest pictures", [one for one in drawn if one.sample.arch.input == sizes[-1]]),
                ("the deepest third", [one for one in drawn if one.depth >= deep]),
                ("ends of the space", ends),
            ):
                kept = [one for one in drawn if one not in out]
                if len(kept) >= fitting.FEWEST and out:
                    say(f"{name}: {words}", len(kept), len(out), judged(kept, out, measured.noise))


if __name__ == "__main__":
    for file in sys.argv[1:]:
        study(file)
