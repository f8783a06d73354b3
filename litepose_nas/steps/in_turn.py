"""How long networks take on one thread, asked in turn so that whatever disturbs the machine disturbs all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from litepose_nas.latency.standalone.rounds import VISIT, Visit, between_halves

LEAST_ROUNDS = 6


class Timing(NamedTuple):
    ms: float  # of one call, the least
    noise: float  # how far half of the rounds is from the other half, as a share


def time_in_turn(runs: Mapping[str, Callable[[], Any]], seconds: float = 3.0) -> dict[str, Timing]:
    """Visit each in every round, until so many seconds have gone by."""
    visits: dict[str, list[Visit]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    begin, rounds = time.perf_counter(), 0
    while rounds < LEAST_ROUNDS or time.perf_counter() - begin < seconds:
        for name, run in runs.items():
            visits[name].append(_visit(run))
        rounds += 1
    return {name: Timing(min(visit.ms for visit in found), between_halves(found)) for name, found in visits.items()}


def _visit(run: Callable[[], Any]) -> Visit:
    """The first call brings the network back into the caches; it counts where it is the only one."""
    took: list[float] = []
    begin = time.perf_counter()
    while not took or time.perf_counter() - begin < VISIT:
        before = time.perf_counter()
        run()
        took.append(1e3 * (time.perf_counter() - before))
    took = took[1:] or took
    return Visit(0, min(took), statistics.median(took), 0.0)
