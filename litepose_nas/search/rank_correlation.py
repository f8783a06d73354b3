"""Whether one score ranks networks as another does: Kendall's tau and precision at k, with bootstrap intervals.

Overall, and inside strata of the cost: dearer networks are better in general, so a score that knows no more than the
cost has a high tau overall, and none among networks that cost the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

MOST_STRATA = 8
LEAST_IN_STRATUM = 3  # networks: of two there is but one pair
DRAWS = 1000  # of the bootstrap
MIDDLE = (0.025, 0.975)


class Interval(NamedTuple):
    """A figure and the middle 95 % of it over the bootstrap; nan where it is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if not np.isfinite(self.value):
            return "-"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"

    def plain(self) -> dict[str, float | None]:
        return {key: round(value, 6) if np.isfinite(value) else None for key, value in self._asdict().items()}


class Agreement(NamedTuple):
    """How well a score ranks networks, against a truth."""

    tau: Interval
    tau_inside: Interval  # of pairs of the same stratum
    precision: Interval  # of the best k by the score, the share that is among the best k in truth
    precision_inside: Interval  # of the best one of each stratum, the share that is the best of it in truth

    def plain(self) -> dict[str, Any]:
        return {key: value.plain() for key, value in self._asdict().items()}


class Audited(NamedTuple):
    """Scores of networks under several names, against a truth."""

    networks: int
    strata: list[int]  # the stratum of each network
    k: int
    agreements: dict[str, Agreement]
    ahead: dict[str, dict[str, Interval]]  # of each score but the base: its tau minus that of the base


def strata(costs: Sequence[float], least: int = LEAST_IN_STRATUM, most: int = MOST_STRATA) -> list[int]:
    """Return the stratum of each network, from the cheapest up: octiles, or as many as leave enough in each."""
    count = max(1, min(most, len(costs) // least))
    places = np.argsort(np.argsort(np.asarray(costs, dtype=float), kind="stable"), kind="stable")
    return [int(place) for place in places * count // len(costs)]


def audit(
    scores: Mapping[str, Sequence[float]],
    truth: Sequence[float],
    inside: Sequence[int],
    base: str | None = None,
    k: int | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Audited:
    """Return how well each score ranks networks, all over the same draws of networks; greater is better throughout.

    `inside` is the stratum of each network.
    """
    k = k or best_of(len(truth))
    counts = resamples(len(truth), draws, seed)
    sampled = {name: _taus(values, truth, inside, counts) for name, values in scores.items()}
    agreements = {
        name: Agreement(
            _interval(sampled[name][0]),
            _interval(sampled[name][1]),
            _interval(_precisions(values, truth, k, counts)),
            _interval(_precisions_inside(values, truth, inside, counts)),
        )
        for name, values in scores.items()
    }
    ahead = {
        name: {
            word: _interval(mine - theirs)
            for word, mine, theirs in zip(("tau", "tau_inside"), sampled[name], sampled[base], strict=True)
        }
        for name in scores
        if base is not None and name != base
    }
    return Audited(len(truth), list(inside), k, agreements, ahead)


def between(truths: Sequence[Sequence[float]], inside: Sequence[int], draws: int = DRAWS, seed: int = 0) -> Agreement:
    """Return how well trainings that differ in their seed alone agree, the mean over pairs of them: the ceiling."""
    many = len(truths)
    k, counts = best_of(len(inside)), resamples(len(inside), draws, seed)
    pairs = [(truths[one], truths[other]) for one in range(many) for other in range(one)]
    if not pairs:
        raise ValueError("one training of each network has nothing to agree with")
    taus = [_taus(one, other, inside, counts) for one, other in pairs]
    means = [_mean([of[part] for of in taus]) for part in (0, 1)]
    at_k = _mean([_precisions(one, other, k, counts) for one, other in pairs])
    at_one = _mean([_precisions_inside(one, other, inside, counts) for one, other in pairs])
    return Agreement(_interval(means[0]), _interval(means[1]), _interval(at_k), _interval(at_one))


def best_of(networks: int) -> int:
    return max(1, networks // 4)


def resamples(networks: int, draws: int, seed: int) -> np.ndarray:
    """Return how often each network is in each draw; the first line is all of them, once."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(networks, np.full(networks, 1 / networks), size=draws)
    return np.concatenate([np.ones((1, networks)), drawn.astype(float)])


def _taus(
    x: Sequence[float], y: Sequence[float], groups: Sequence[int], counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return tau over all pairs, and over those of the same group, for each line of counts.

    A network that is drawn twice makes no pair with itself, so it enters with its count as a weight.
    """
    signs = [_signs(values) for values in (x, y)]
    same = np.equal.outer(np.asarray(groups), np.asarray(groups))
    out = []
    for mask in (np.ones_like(same), same):
        agree, mine, yours = (
            _weighted(part * mask, counts) for part in (signs[0] * signs[1], np.abs(signs[0]), np.abs(signs[1]))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            out.append(agree / np.sqrt(mine * yours))
    return out[0], out[1]


def _signs(values: Sequence[float]) -> np.ndarray:
    """Return 1, 0 or -1 for each pair; by comparison, for a difference of two failures is no number."""
    column = np.asarray(values, dtype=float)
    return np.greater.outer(column, column).astype(float) - np.less.outer(column, column)


def _weighted(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.asarray(((counts @ pairs) * counts).sum(axis=1))


def _precisions(x: Sequence[float], y: Sequence[float], k: int, counts: np.ndarray) -> np.ndarray:
    return np.asarray(np.minimum(_places(x, k, counts), _places(y, k, counts)).sum(axis=1) / k)


def _precisions_inside(x: Sequence[float], y: Sequence[float], groups: Sequence[int], counts: np.ndarray) -> np.ndarray:
    """Return the mean precision at one inside groups for each line of counts; the best of one is no finding."""
    total, several = np.zeros(len(counts)), np.zeros(len(counts))
    for group in set(groups):
        here = counts * (np.asarray(groups) == group)
        usable = (here > 0).sum(axis=1) > 1
        total += np.where(usable, _precisions(x, y, 1, here), 0.0)
        several += usable
    with np.errstate(invalid="ignore"):
        return np.asarray(total / several)


def _places(values: Sequence[float], k: int, counts: np.ndarray) -> np.ndarray:
    """Return how much of each network is among the best k: equal ones that do not all fit get the same share."""
    different, which = np.unique(-np.asarray(values, dtype=float), return_inverse=True)  # the best first
    crowds = counts @ np.eye(len(different))[which.reshape(-1)]
    before = np.cumsum(crowds, axis=1) - crowds
    shares = np.clip((k - before) / np.maximum(crowds, 1), 0.0, 1.0)
    return np.asarray(counts * shares[:, which.reshape(-1)])


def _mean(lines: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(np.mean(np.stack(lines), axis=0))


def _interval(values: np.ndarray) -> Interval:
    """Return the first value, which is that of everything once, and the middle of the rest."""
    drawn = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or not len(drawn):
        return Interval(float(values[0]), float("nan"), float("nan"))
    low, high = np.quantile(drawn, MIDDLE).tolist()
    return Interval(float(values[0]), low, high)
