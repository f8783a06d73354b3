"""Networks of a space in narrow strata of their MACs, spread over the space: the same for a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from litepose_nas import costs
from litepose_nas.search.encoding import Genome
from litepose_nas.space import Arch, Space

STRATA, EACH = 4, 12  # how many, and the networks of each
DRAWN = 16_384  # networks that strata are taken from
WIDTH = 1.02  # the dearest of a stratum over its cheapest, at most
ENDS = (0.03, 0.97)  # the shares of drawn networks that are cheaper than the first and the last stratum


class Halves(NamedTuple):
    """The places of the networks that a recipe is chosen on, of those that confirm the choice, and of all."""

    chosen_on: list[int]
    confirmed_on: list[int]
    all: list[int]


def strata(
    space: Space, joints: int, count: int = STRATA, each: int = EACH, seed: int = 0, drawn: int = DRAWN
) -> list[list[Arch]]:
    """Return strata from the cheapest up, at even ratios of MACs, each of so many random networks."""
    genome, rng = Genome(space), np.random.default_rng(seed)
    rows = np.unique(genome.draw(drawn, rng), axis=0)
    archs = [genome.arch(row) for row in rows]
    macs = costs.many(archs, joints)[:, 0]
    found = []
    for middle in np.geomspace(*np.quantile(macs, ENDS), count):
        near = np.flatnonzero(within(macs, middle))
        if len(near) < each:
            raise ValueError(f"only {len(near)} of {len(rows)} networks within 1 % of {middle / 1e6:.1f} MMAC")
        chosen = rng.choice(near, each, replace=False)
        found.append([archs[number] for number in sorted(chosen, key=lambda number: macs[number])])
    return found


def within(macs: Sequence[float] | np.ndarray, middle: float) -> np.ndarray:
    """Return which costs lie so near to a middle that no two of them differ by more than the width of a stratum."""
    half = WIDTH**0.5
    return (np.asarray(macs) >= middle / half) & (np.asarray(macs) <= middle * half)


def halves(inside: Sequence[int], seed: int = 0) -> Halves:
    """Divide networks at random into two halves of every stratum, always the same."""
    rng, first = np.random.default_rng(seed), set()
    for stratum in sorted(set(inside)):
        places = np.flatnonzero(np.asarray(inside) == stratum)
        first.update(rng.permutation(places)[: len(places) // 2].tolist())
    every = list(range(len(inside)))
    return Halves(sorted(first), [place for place in every if place not in first], every)
