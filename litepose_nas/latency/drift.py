"""Whether a device is as fast as when its profile was measured: a few of the profile's networks, measured again."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from typing import NamedTuple

from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.samples import ANCHOR, EXTREME, MOST_NOISE, LatencySample, LatencySamples
from litepose_nas.space import Arch

ANCHORS = 4  # networks that are measured again
LEAST_DRIFT = 0.02  # less than that between two measurements is nothing, however quiet both were
LEAST_SPREAD, SPREADS = 0.05, 3.0  # anchors may lie so far apart, or so many times the noise


class Anchor(NamedTuple):
    """A network of a profile, as it was measured then."""

    sample: LatencySample
    joints: int


class Drift(NamedTuple):
    """How fast the device is today, beside its profile."""

    ratio: float  # today's time by that of the profile, the median over the anchors
    spread: float  # how far the furthest anchor is from it, as a share
    noise: float  # of today's measurement
    allowed: float  # what both measurements' noise explains

    @property
    def moved(self) -> bool:
        return abs(self.ratio - 1) > max(self.allowed, LEAST_DRIFT)

    @property
    def doubt(self) -> str:
        """Why today's times cannot be compared with the profile's; empty where they can."""
        if not self.noise <= MOST_NOISE:
            return f"the device is too restless today, {self.noise:.1%} noise: let nothing else run"
        if self.spread > max(SPREADS * self.allowed, LEAST_SPREAD):
            return (
                f"networks of the profile take {self.ratio:.2f} times as long as then, and others up to "
                f"{self.spread:.0%} more or less than that: the profile is not true of this device any more"
            )
        return ""

    @property
    def scale(self) -> float:
        """What today's times are divided by to be the profile's milliseconds."""
        return self.ratio if self.moved else 1.0


def choose_anchors(
    measured: Sequence[LatencySamples], digests: Collection[str] = (), without: Collection[Arch] = ()
) -> list[Anchor]:
    """Networks of these spaces, or of all, from fast to slow: the measurement's own anchors where it has some."""
    found = [
        Anchor(sample, one.joints)
        for one in measured
        for sample in one.samples
        if sample.arch not in without and (not digests or samples_file.digest(sample.arch.space) in digests)
    ]
    anchors = [one for one in found if one.sample.role == ANCHOR]
    inner = [one for one in found if one.sample.role != EXTREME]
    pool = next((some for some in (anchors, inner, found) if len(some) >= ANCHORS), found)
    pool = sorted(pool, key=lambda one: one.sample.ms)
    count = min(ANCHORS, len(pool))
    return [pool[(2 * k + 1) * len(pool) // (2 * count)] for k in range(count)]


def drift(then: Sequence[float], today: Sequence[float], noise_then: float, noise_today: float) -> Drift:
    """Compare the milliseconds of the same networks."""
    ratios = [b / a for a, b in zip(then, today, strict=True)]
    middle = statistics.median(ratios)
    spread = max(abs(ratio / middle - 1) for ratio in ratios)
    return Drift(middle, spread, noise_today, noise_then + noise_today)
