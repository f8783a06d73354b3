"""Timing side by side: the machine drifts, so two things are timed in turn and compared as a ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def seconds(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(runs: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Return the times of each function over rounds in which every one runs once, the first place going round."""
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()  # warm-up
    for turn in range(rounds):
        for i in range(len(runs)):
            which = (i + turn) % len(runs)
            times[which].append(seconds(runs[which]))
    return times


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of the ratios round by round, and the quarter points around it."""
    low, middle, high = statistics.quantiles([a / b for a, b in zip(ours, baseline, strict=True)], n=4)
    return middle, low, high
