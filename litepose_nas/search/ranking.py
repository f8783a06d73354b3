"""How the results of evaluations become scores to rank by, greater for better."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from litepose_nas.task_kind import TaskKind

Result = Mapping[str, Any]  # what an evaluation found: score, loss, ap, pixels ...
FAILED = -math.inf
MUTE_AP = 0.02  # below it, an AP of a short training says nothing of the network
PRIOR = 2.0  # results: what is known of a resolution is drawn to all others as if so many more had been like them
TINY = 1e-12

AP, LOSS, SMOOTHED, AUTO = "ap", "loss", "smoothed-ap", "auto"
WORDS = {AP: "AP", LOSS: "loss", SMOOTHED: "smoothed AP"}


def by_score(results: Sequence[Result]) -> list[float]:
    return [_number(result.get("score")) for result in results]


def by_ap_or_loss(results: Sequence[Result]) -> list[float]:
    """Return each result's `ap`, or minus its `loss` while more than half of the APs are too low to tell nets apart."""
    return RANKS[ranked_by(results)](results)


def by_ap(results: Sequence[Result]) -> list[float]:
    return [_number(result.get("ap")) for result in results]


def by_loss(results: Sequence[Result]) -> list[float]:
    losses = [_number(result.get("loss")) for result in results]
    return [FAILED if loss == FAILED else -loss for loss in losses]


def by_smoothed_ap(results: Sequence[Result]) -> list[float]:
    """Return the AP to expect of each result's loss and resolution, or minus its loss where APs say nothing.

    Among networks of one resolution the order is that of the loss, which is steadier than an AP on few images. Losses
    at two resolutions cannot be compared, for they are means over heatmaps of two sizes: there the APs decide.
    """
    line = _Line.through(results)
    if line is None:
        return by_loss(results)
    return [line.at(result) if _usable(result) else FAILED for result in results]


RANKS: Mapping[str, Callable[[Sequence[Result]], list[float]]] = {
    SMOOTHED: by_smoothed_ap, LOSS: by_loss, AP: by_ap, AUTO: by_ap_or_loss,
}  # fmt: skip


def default_rank(kinds: Iterable[TaskKind]) -> str:
    """Return what a search of these tasks ranks by, unless told.

    The losses of networks that see one person ranked those of all resolutions as well as any score did. The losses of
    networks that see whole images led a search to large inputs, where fewer people were found (docs/LOG.md).
    """
    return LOSS if all(kind.one_person for kind in kinds) else SMOOTHED


def ranked_by(results: Sequence[Result], rank: str = AUTO) -> str:
    """Return what a rank goes by with these results, a word of WORDS."""
    if rank == SMOOTHED:
        return LOSS if _Line.through(results) is None else SMOOTHED
    if rank != AUTO:
        return rank
    return LOSS if _mute(results) else AP


class _Line(NamedTuple):
    """AP = offset of the resolution - slope x log(loss), by least squares."""

    slope: float
    offsets: Mapping[float, float]  # by the pixels of the input

    @classmethod
    def through(cls, results: Sequence[Result]) -> _Line | None:
        """Return none where most APs are too low, or where they do not rise as the loss falls."""
        usable = [result for result in results if _usable(result)]
        if not usable or _mute(results):
            return None
        groups: dict[float, list[tuple[float, float]]] = {}
        for result in usable:
            groups.setdefault(_pixels(result), []).append((_ease(result), float(result["ap"])))
        slope = _slope(list(groups.values()))
        if slope <= 0:
            return None
        own = {pixels: fmean(ap - slope * ease for ease, ap in group) for pixels, group in groups.items()}
        shared = sum(len(groups[pixels]) * offset for pixels, offset in own.items()) / len(usable)
        # One lucky AP at a resolution that has hardly been tried must not rule out the others.
        drawn = {
            pixels: (len(groups[pixels]) * offset + PRIOR * shared) / (len(groups[pixels]) + PRIOR)
            for pixels, offset in own.items()
        }
        return cls(slope, drawn)

    def at(self, result: Result) -> float:
        return self.offsets[_pixels(result)] + self.slope * _ease(result)


def _slope(groups: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Return the slope that lines through all groups share, each with an offset of its own; 0 where none is known."""
    up, across = 0.0, 0.0
    for group in groups:
        x0, y0 = fmean(x for x, _ in group), fmean(y for _, y in group)
        up += sum((x - x0) * (y - y0) for x, y in group)
        across += sum((x - x0) ** 2 for x, _ in group)
    return up / across if across else 0.0


def _usable(result: Result) -> bool:
    return FAILED not in (_number(result.get("loss")), _number(result.get("ap")))


def _ease(result: Result) -> float:
    return -math.log(max(float(result["loss"]), TINY))


def _pixels(result: Result) -> float:
    return float(result.get("pixels", 0))  # journals of older versions do not have it


def _mute(results: Sequence[Result]) -> bool:
    return 2 * sum(not _number(result.get("ap")) >= MUTE_AP for result in results) > len(results)


def _number(value: Any) -> float:
    """Return a score as a number; what is missing or not a number failed."""
    number = FAILED if value is None else float(value)
    return number if math.isfinite(number) else FAILED
