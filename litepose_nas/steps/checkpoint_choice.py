"""Which of the weights that a training passes through did best on the held-out pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from litepose_nas.search.problem import MUTE_AP


def rank(scores: Mapping[str, float]) -> tuple[float, float]:
    """What is greater for better scores: the AP, then less loss; an AP too low to tell anything counts none."""
    ap, loss = float(scores["ap"]), float(scores["loss"])  # from the metrics, `inf` is a word
    return (ap if ap >= MUTE_AP else 0.0, -loss if math.isfinite(loss) else -math.inf)


def is_best(scores: Mapping[str, float], rows: Iterable[Mapping[str, float]], prefix: str) -> bool:
    """Whether scores beat those of all earlier checks, which rows of metrics hold under prefix/ap and /loss."""
    keys = f"{prefix}/ap", f"{prefix}/loss"
    earlier = [rank({"ap": row[keys[0]], "loss": row[keys[1]]}) for row in rows if keys[1] in row]
    return not earlier or rank(scores) > max(earlier)
