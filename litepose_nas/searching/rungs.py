"""Looking at a few pictures first, and at all of them only where that promises something.

Whether an architecture promises something is decided by what the rounds before it have shown, so the order in which the
evaluations of one round end changes nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from litepose_nas.errors import UserError
from litepose_nas.searching.problem import FAILED, Evaluated, Problem, Result
from litepose_nas.space import Arch

Score = Callable[[Arch, float], Mapping[str, Any]]  # an architecture and the share of the pictures to look at
SHARES = (0.25, 1.0)
KEPT = 0.5  # the share of first looks that goes on
ENOUGH = 16  # first looks before any is turned away


def climbing(
    problem: Problem, arch: Arch, known: Sequence[Evaluated], shares: Sequence[float] = SHARES
) -> Generator[float, Result, dict[str, Any]]:
    """Yield the shares of the pictures that an architecture is worth, take each result, return the last one and all.

    `share` says how large the last was, `looks` holds the result of each smaller share that was looked at.
    """
    if list(shares) != sorted(set(shares)) or not shares or not shares[0] > 0 or shares[-1] != 1:
        raise UserError(f"shares of the pictures: expected rising numbers above 0 that end with 1, got {list(shares)}")
    looks: dict[str, dict[str, Any]] = {}
    for share in shares:
        result = dict((yield share))
        if share == 1 or not promising(problem, arch, result, known, share):
            break
        looks[str(share)] = result
    return {**result, "share": share, "looks": looks}


def climb(
    problem: Problem, score: Score, arch: Arch, known: Sequence[Evaluated], shares: Sequence[float] = SHARES
) -> dict[str, Any]:
    """Return the result of an architecture on the largest share of the pictures that it was worth, and those before."""
    route = climbing(problem, arch, known, shares)
    share = next(route)
    while True:
        try:
            share = route.send(score(arch, share))
        except StopIteration as end:
            return dict(end.value)


def promising(problem: Problem, arch: Arch, look: Result, known: Sequence[Evaluated], share: float) -> bool:
    """Return whether a look is as good as the better ones of earlier looks at the same share, for what it costs."""
    pairs = [(one, found) for one in known if (found := look_at(one.result, share)) is not None]
    *before, mine = problem.scores([*(found for _, found in pairs), look])
    logs = [math.log(max(problem.lows(one.cost)[0], 1e-12)) for one, _ in pairs]
    usable = [(log, score) for log, score in zip(logs, before, strict=True) if score != FAILED]
    if mine == FAILED or len(usable) < ENOUGH:
        return mine != FAILED
    x, y = np.array(usable).T
    slope = float(np.cov(x, y)[0, 1] / x.var(ddof=1)) if x.var() > 0 else 0.0
    left = y - slope * x
    here = math.log(max(problem.lows(problem.cost(arch))[0], 1e-12))
    return mine - slope * here >= float(np.quantile(left, 1 - KEPT))


def look_at(result: Result, share: float) -> Result | None:
    """Return what a result says of a share of the pictures, None if nothing."""
    if result.get("share") == share:
        return result
    found: Result | None = result.get("looks", {}).get(str(share))
    return found


def levelled(scores: Callable[[Sequence[Result]], list[float]]) -> Callable[[Sequence[Result]], list[float]]:
    """Return scores in which a look at a part of the pictures counts as a look at all of them is expected to.

    The pictures of a part are easier or harder than all; by how much is told by the networks that were seen on both.
    """

    def by(results: Sequence[Result]) -> list[float]:
        looks = [(at, share, look) for at, one in enumerate(results) for share, look in one.get("looks", {}).items()]
        both = scores([*results, *(look for _, _, look in looks)])
        own, earlier = both[: len(results)], both[len(results) :]
        lifts: dict[str, list[float]] = {}
        for (at, share, _), score in zip(looks, earlier, strict=True):
            if results[at].get("share") == 1 and FAILED not in (own[at], score):
                lifts.setdefault(share, []).append(own[at] - score)
        return [
            score + statistics.median(lifts.get(str(one.get("share")), [0.0])) if score != FAILED else score
            for one, score in zip(results, own, strict=True)
        ]

    return by
