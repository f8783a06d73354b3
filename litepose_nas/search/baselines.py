"""What else could have been taken from the same evaluations: a random network, the dearest one; and the noise.

A search that is not ahead of these has found nothing, and its report says so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from litepose_nas.budget import Budget
from litepose_nas.search.finalists import Selection
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.ranking import FAILED, WORDS

SURE = 2.0  # standard errors


class Baselines(NamedTuple):
    """The score that was chosen beside those that needed no search; greater is better, minus the loss where that is."""

    networks: int  # evaluated within the budget
    chosen: float  # when it was scored again, if it was: its first score is in part luck
    times: int  # how often it was scored again
    random: float  # the mean
    random_low: float  # a tenth is worse
    random_high: float  # a tenth is better
    dearest: float  # the score of the network of the most MACs within the budget
    noise: float | None  # the standard deviation of one evaluation

    def apart(self, other: float) -> bool | None:
        """Return whether the chosen score is further above another than noise makes it; None if that is unknown."""
        if self.noise is None:
            return None
        error = self.noise * math.sqrt(1 / max(self.times, 1) + 1)
        return self.chosen - other > SURE * error

    def plain(self) -> dict[str, Any]:
        return {**self._asdict(), "above_dearest": self.apart(self.dearest), "above_random": self.apart(self.random)}


def baselines(found: Sequence[Evaluated], selection: Selection, budget: Budget) -> Baselines:
    """Return what a random choice within the budget, and cost alone, would have taken of the same evaluations."""
    within = [one for one in found if one.score != FAILED and budget.ok(one.cost)]
    scores = sorted(one.score for one in within)
    dearest = max(within, key=lambda one: (budget.macs(one.cost), one.cost.params))
    final = next(final for final in selection.finalists if final.one.arch == selection.chosen.arch)
    return Baselines(
        networks=len(within),
        chosen=final.mean,
        times=len(final.scores),
        random=statistics.fmean(scores),
        random_low=scores[int(0.1 * len(scores))],
        random_high=scores[min(int(0.9 * len(scores)), len(scores) - 1)],
        dearest=dearest.score,
        noise=selection.noise,
    )


def in_words(found: Baselines, by: str) -> list[str]:
    word = WORDS[by]

    def shown(score: float) -> str:
        return f"{-score:.4f}" if by == "loss" else f"{score:.3f}"

    again = f", the mean of {found.times} more looks" if found.times else ""
    low, high = sorted([found.random_low, found.random_high], key=lambda score: -score if by == "loss" else score)
    lines = [
        f"{word} of the chosen network: {shown(found.chosen)}{again}",
        f"a random one of the {found.networks} evaluated within the budget: {shown(found.random)} on average, "
        f"eight in ten from {shown(low)} to {shown(high)}",
        f"the dearest within the budget, chosen by cost alone: {shown(found.dearest)}",
    ]
    apart = found.apart(found.dearest)
    if apart is None:
        lines.append("noise: unknown, for nothing was scored twice")
    else:
        verdict = "ahead" if apart else "not ahead"
        lines.append(
            f"one evaluation varies by {found.noise:.4f}; the choice is {verdict} of cost alone by more than that"
        )
    return lines
