"""Milliseconds as a sum of features, each with a weight that cannot be negative, and how far such a sum is off.

Few models are tried; which is kept is chosen by leaving networks out, and their errors give the upper bound: with the
residuals of left-out networks in order, 95 % of further networks like them are below the prediction times one plus the
residual at that place.

Blocks that were measured alone are further rows of the same sum. Forty networks say little of sixty weights; a few
hundred blocks say what each kind of operation takes, and the networks how that adds up. How much blocks count beside
networks is chosen by leaving networks out as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.latency.features import ALL_KINDS, DECONV, DECONV_GROUPED, GROUPED, LANES

if TYPE_CHECKING:
    import numpy as np

COVERAGE = 0.95
FEWEST = 10  # networks that a model can be fitted on
FOLDS, REPEATS = 10, 3
MOST_STEPS = 10_000
BASELINE = "MACs alone"
ONE = "network"  # the feature that every network has one of
ALONE = "block"  # the same of a block that is measured alone; no network has it
SHARES = (0.05, 0.25)  # what all blocks together count beside all networks

Terms = Sequence[Sequence[str]]  # each term of a model is the sum of some features

_PLAIN = [kind for kind in ALL_KINDS if not kind.startswith((DECONV, "depthwise"))]
_DEPTHWISE = [kind for kind in ALL_KINDS if kind.startswith("depthwise")]
_DECONVS = (DECONV, DECONV_GROUPED)
_REST = [[ONE], ["operations"], ["moves"], ["bytes"]]
_READ_AND_MADE = [
    *([f"{kind}_{side}"] for kind in _PLAIN for side in ("read", "made")),
    [f"{kind}_made" for kind in _DEPTHWISE],
    [f"{kind}_made" for kind in _DECONVS],
    ["moved"],
]
_DETAILED = [
    *_REST, ["moved"], ["weights"], ["smooth"], ["scores"],
    *([f"{kind}_{what}"] for kind in _PLAIN if kind != GROUPED for what in ("macs", "padded", "read", "made")),
    *([f"{kind}_{what}"] for kind in _DEPTHWISE for what in ("macs", "read", "made", "strided")),
    *([f"{kind}_{what}"] for kind in _DECONVS for what in ("macs", "padded", "columns", "rows", "made")),
    *([f"{GROUPED}{most}_{what}"] for most in LANES for what in ("macs", "columns", "rows")),
    *([f"{GROUPED}_{what}"] for what in ("padded", "read", "made", "groups", "strided")),
    ["dense_columns"], ["dense_rows"], ["deconv_grouped_groups"],
]  # fmt: skip
MODELS: Mapping[str, Terms] = {
    BASELINE: [[ONE], ["macs"]],
    "six features": [
        [ONE], ["operations"], ["bytes"],
        [f"{kind}_macs" for kind in _PLAIN],
        [f"{kind}_macs" for kind in _DEPTHWISE],
        [f"{kind}_macs" for kind in _DECONVS],
    ],
    "kinds": [*_REST, *([f"{kind}_macs"] for kind in ALL_KINDS)],
    "kinds, padded channels": [*_REST, *([f"{kind}_padded"] for kind in ALL_KINDS), *_READ_AND_MADE],
    "kinds, read and made": [*_REST, *([f"{kind}_macs"] for kind in ALL_KINDS), *_READ_AND_MADE],
    "operations in detail": _DETAILED,
}  # fmt: skip


class FitErrors(NamedTuple):
    """How far predictions are off, relative to what was measured."""

    mape: float  # mean of the absolute errors
    within_5: float  # share of networks
    within_10: float
    worst: float
    bias: float  # mean of the errors
    tau: float  # Kendall's, with the measured order


class LatencyFit(NamedTuple):
    """What takes how long on one device, learned from the networks of one space."""

    model: str
    weights: dict[str, float]  # milliseconds for one of each feature
    factor: float  # a prediction times it is the upper bound
    covered: float  # the share of such networks that are below their bound
    networks: int
    typical_ms: float  # the median of what was measured
    errors: FitErrors  # of networks left out
    baseline: FitErrors  # of the same, by MACs alone
    extremes: FitErrors | None  # of the space's ends, each left out alone; None: none was measured
    noise: float
    blocks: int = 0  # measured alone, that it learned from as well

    @property
    def no_better(self) -> bool:
        """Whether MACs alone would do as well."""
        return self.errors.mape >= self.baseline.mape

    def ms(self, counts: Sequence[float]) -> float:
        """Milliseconds from the counts of `weights`' features in their order; the same bits from a column of them."""
        total = 0.0
        for weight, count in zip(self.weights.values(), counts, strict=True):
            total = total + weight * count
        return total


def fit(
    features: Sequence[Mapping[str, int]],
    ms: Sequence[float],
    ends: Sequence[bool],
    noise: float,
    seed: int = 0,
    blocks: Sequence[tuple[Mapping[str, int], float]] = (),
) -> LatencyFit:
    """Fit milliseconds; `ends` tells which networks are extremes of the space and not random ones.

    The extremes are always among those fitted on, for a sum that has seen them need not guess beyond what it knows.
    `blocks` are features and milliseconds of blocks that were measured alone.
    """
    import numpy as np

    rows = [{ONE: 1, ALONE: 0, **one} for one in features]
    single = [{ONE: 0, ALONE: 1, **one} for one, _ in blocks]
    y, end = np.array(ms, dtype=float), np.array(ends, dtype=bool)
    y_single = np.array([took for _, took in blocks])
    if (~end).sum() < FEWEST:
        end[:] = False
    drawn, fixed = np.flatnonzero(~end), np.flatnonzero(end)
    folds = _folds(drawn, fixed, seed)
    found: dict[tuple[str, float], tuple[float, np.ndarray]] = {}
    for name, terms in MODELS.items():
        x, x_single = _matrix(rows, terms), _matrix(single, [*terms, [ALONE]])
        for share in (0.0, *(SHARES if blocks and name != BASELINE else ())):
            guesses = np.zeros((REPEATS, len(y)))
            for repeat, left, kept in folds:
                guesses[repeat, left] = x[left] @ _nnls(x[kept], y[kept], x_single, y_single, share)
            found[name, share] = float(np.abs(guesses[:, drawn] / y[drawn] - 1).mean()), guesses
    name, share = min(found, key=lambda both: found[both][0])
    terms, guesses = MODELS[name], found[name, share][1]
    x, x_single = _matrix(rows, terms), _matrix(single, [*terms, [ALONE]])
    weights = _weights(rows, terms, _nnls(x, y, x_single, y_single, share))
    factor, covered = _bound(np.median(y[drawn] / guesses[:, drawn], axis=0))
    far = None
    if len(fixed):
        others = np.arange(len(y))
        alone = []
        for at in fixed:
            kept = others != at
            alone.append((x[[at]] @ _nnls(x[kept], y[kept], x_single, y_single, share))[0])
        far = errors_of(np.array(alone), y[fixed])
    baseline = found[BASELINE, 0.0][1]
    both = [errors_of(np.concatenate(g[:, drawn]), np.tile(y[drawn], REPEATS)) for g in (guesses, baseline)]
    typical, used = float(np.median(y)), len(blocks) if share else 0
    return LatencyFit(name, weights, factor, covered, len(y), typical, both[0], both[1], far, noise, used)


def errors_of(predicted: np.ndarray, measured: np.ndarray) -> FitErrors:
    import numpy as np
    from scipy.stats import kendalltau

    off = predicted / measured - 1
    size = np.abs(off)
    tau = float(kendalltau(predicted, measured).statistic) if len(off) > 1 else 0.0
    within_5, within_10 = (float((size <= most).mean()) for most in (0.05, 0.10))
    return FitErrors(
        float(size.mean()),
        within_5,
        within_10,
        float(size.max()),
        float(off.mean()),
        tau if math.isfinite(tau) else 0.0,
    )


def _bound(residuals: np.ndarray) -> tuple[float, float]:
    """The factor of the upper bound, and what share of networks it covers: less than asked for where few are known."""
    import numpy as np

    count = len(residuals)
    place = min(math.ceil((count + 1) * COVERAGE), count)
    return float(np.sort(residuals)[place - 1]), min(COVERAGE, place / (count + 1))


def _folds(drawn: np.ndarray, fixed: np.ndarray, seed: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """For each repeat the networks left out and those kept, every drawn network left out once."""
    import numpy as np

    found = []
    for repeat in range(REPEATS):
        mixed = np.random.default_rng([seed, repeat]).permutation(drawn)
        for left in np.array_split(mixed, min(FOLDS, len(mixed))):
            found.append((repeat, left, np.concatenate([np.setdiff1d(drawn, left), fixed])))
    return found


def _matrix(rows: Sequence[Mapping[str, int]], terms: Terms) -> np.ndarray:
    import numpy as np

    values = [[float(sum(row[name] for name in term)) for term in terms] for row in rows]
    return np.array(values).reshape(len(rows), len(terms))


def _nnls(
    x: np.ndarray,
    y: np.ndarray,
    x_single: np.ndarray | None = None,
    y_single: np.ndarray | None = None,
    share: float = 0,
) -> np.ndarray:
    """Weights that are not negative, of the least squared relative error.

    All rows of blocks together weigh `share` of the networks; their last column is what a block takes for being alone.
    """
    import numpy as np
    from scipy.optimize import nnls

    relative = x / y[:, None]
    target = np.ones(len(y))
    if share and x_single is not None and y_single is not None:
        weight = (share * len(y) / len(y_single)) ** 0.5
        relative = np.vstack([np.pad(relative, ((0, 0), (0, 1))), weight * x_single / y_single[:, None]])
        target = np.concatenate([target, np.full(len(y_single), weight)])
    scale = np.maximum(np.abs(relative).max(axis=0), 1e-300)
    found, _ = nnls(relative / scale, target, maxiter=MOST_STEPS)
    return np.asarray((found / scale)[: x.shape[1]])


def _weights(rows: Sequence[Mapping[str, int]], terms: Terms, found: np.ndarray) -> dict[str, float]:
    """Those of features that any network has."""
    pairs = [(name, float(weight)) for term, weight in zip(terms, found, strict=True) for name in term]
    return {name: weight for name, weight in pairs if weight > 0 and any(row[name] for row in rows)}
