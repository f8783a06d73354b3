"""Counting MACs: ours against fvcore on the same architectures, in one run; and how many architectures a second."""

from __future__ import annotations

import logging
import random
import statistics
import warnings

import torch
from fvcore.nn import FlopCountAnalysis
from timing import seconds

import litepose_nas as ln
from litepose_nas import costs

COMPARED = 6
COUNTED = 20_000


def _check(arch: ln.Arch) -> None:
    """Count an architecture as fvcore does, on a network built for it, and compare with our count."""
    net = ln.build(arch, 17).eval()
    analysis = FlopCountAnalysis(net, torch.zeros(1, 3, *arch.input))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    assert analysis.by_operator()["conv"] == ln.cost(arch).macs


def measure(name: str) -> tuple[float, ...]:
    """Return seconds an architecture: fvcore's, ours from cold caches, ours from warm ones, ours all at once."""
    space, rng = ln.Space.load(name), random.Random(0)
    archs = [space.sample(rng) for _ in range(COUNTED)]
    theirs = [seconds(lambda arch=arch: _check(arch)) for arch in archs[:COMPARED]]
    costs._block_sums.cache_clear()
    costs._block_peak.cache_clear()
    cold, warm = (seconds(lambda: [ln.cost(arch) for arch in archs]) / COUNTED for _ in range(2))
    return statistics.median(theirs), cold, warm, seconds(lambda: costs.many(archs)) / COUNTED


def main() -> None:
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread; {COUNTED} architectures (seed 0), {COMPARED} of them through fvcore\n")
    print("| space | fvcore ms | ours us, from cold | fvcore / ours | ln.cost, archs/s | costs.many, archs/s |")
    print("|---|---|---|---|---|---|")
    for name in ("litepose", "litepose-blocks"):
        fvcore, cold, warm, many = measure(name)
        ratio = fvcore / cold
        print(f"| {name} | {1e3 * fvcore:.0f} | {1e6 * cold:.0f} | {ratio:,.0f} | {1 / warm:,.0f} | {1 / many:,.0f} |")


if __name__ == "__main__":
    main()
