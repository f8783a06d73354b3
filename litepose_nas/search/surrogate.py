"""Models of the score, fitted on what has been evaluated: a ridge on genes and log cost, and a Gaussian process.

Both see the same: which choice each gene has, and the logarithms of the costs. The ridge adds up; the process also
knows that genes can help or hinder each other. Neither is a tree or a deep network: near the front, which is where a
search has to predict, those do not extrapolate.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from litepose_nas.search.encoding import OFF, Genome, Rows

PENALTIES = np.logspace(-2, 4, 19)
BASIS = 10.0  # how much wider the prior of the constant is than that of a gene
TREND = 3.0  # and of the costs: the one thing that is sure to matter
NOISES = np.logspace(-3, 1, 13)  # variance of an evaluation, beside that of the genes
ALIKE, SHARE, ORDER = (0.0, 0.5, 0.8), (0.0, 0.3, 0.6, 0.9), (1.0, 2.0, 4.0, 8.0)
SWEEPS = 2
TINY = 1e-12  # where equal scores leave nothing
ROUNDS, LEAST = 3, 0.01  # of telling which genes matter, and the least that one can
SUBSET = 240  # evaluations that choose a process's settings; all of them then fit it
# Beyond as many the ridge is taken: the time of a process grows with their cube, its memory with their square.
MOST_OF_PROCESS = 4000


class Sample(NamedTuple):
    """What models learn from, a line each evaluation: choice numbers, logarithms of costs, scores."""

    rows: Rows
    logs: np.ndarray
    scores: np.ndarray


class Model(Protocol):
    """What predicts scores."""

    name: str
    left_out: np.ndarray  # for each evaluation, what the model predicts without it

    def mean(self, rows: Rows, logs: np.ndarray) -> np.ndarray:
        """Return the expected score of each row."""

    def deviation(self, rows: Rows, logs: np.ndarray) -> np.ndarray:
        """Return the standard deviation of each row's true score, as far as the model knows."""


class _Frame(NamedTuple):
    """How numbers are centred and scaled before they are modelled."""

    middle: float
    size: float
    log_middle: np.ndarray
    log_size: np.ndarray

    @classmethod
    def of(cls, sample: Sample) -> _Frame:
        """Return the frame in which a sample has mean 0 and deviation 1."""
        size, spans = sample.scores.std(), sample.logs.std(axis=0)
        return cls(
            float(sample.scores.mean()), float(size) or 1.0, sample.logs.mean(axis=0), np.where(spans > 0, spans, 1.0)
        )

    def trend(self, logs: np.ndarray) -> np.ndarray:
        """Return what every model may lean on: a constant, the logarithms of the costs and their squares."""
        scaled = (logs - self.log_middle) / self.log_size
        return np.hstack([np.full((len(logs), 1), BASIS), TREND * scaled, scaled**2])


def fit(genome: Genome, sample: Sample) -> Model:
    """Return the model that ranks left-out evaluations better, cost apart: the ridge unless the process is ahead."""
    weights = relevance(genome, sample)
    ridge = Ridge(genome, sample, weights)
    if len(sample.scores) > MOST_OF_PROCESS:
        return ridge
    process = Process(genome, sample, weights)
    return process if tau(process, sample) > tau(ridge, sample) else ridge


def tau(model: Model, sample: Sample) -> float:
    """Return Kendall's tau between left-out predictions and scores, both without what cost alone explains."""
    from scipy.stats import kendalltau

    trend = _Frame.of(sample).trend(sample.logs)
    both = np.stack([model.left_out, sample.scores], axis=1)
    left = both - trend @ np.linalg.lstsq(trend, both, rcond=None)[0]
    found = float(kendalltau(left[:, 0], left[:, 1]).statistic) if len(left) > 2 else 0.0
    return found if np.isfinite(found) else 0.0


def relevance(genome: Genome, sample: Sample) -> np.ndarray:
    """Return how much more or less than the others each gene matters, one on average.

    A few genes matter much more than the rest, and telling which saves evaluations. Each starts alike; then, a few
    times over, its weight becomes the mean square of its effects as they are expected under the weights before (EM).
    """
    part, frame = _scaled(sample)
    points = _embedded(_tables(genome, ALIKE[1]), part.rows)
    trend = frame.trend(part.logs)
    weights = np.ones(len(genome.sizes))
    width = points.shape[1] // len(weights)
    for _ in range(ROUNDS):
        weighted = points * np.repeat(np.sqrt(weights), width)
        kernel = weighted @ weighted.T + trend @ trend.T
        noise = _likeliest(kernel, part.scores)[1]
        inverse = np.linalg.inv(kernel + noise * np.eye(len(kernel)))
        pull = inverse @ part.scores
        scale = max(float(part.scores @ pull) / len(pull), TINY)
        known = (weighted.T @ pull) ** 2 / scale - (weighted * (inverse @ weighted)).sum(axis=0)
        weights = weights * (1 + known.reshape(len(weights), width).sum(axis=1) / genome.sizes)
        weights = np.maximum(weights / weights.mean(), LEAST)
    return weights


class Ridge:
    """A sum of an effect of each choice and of the costs; the penalty is the one that predicts left-out scores best."""

    name = "ridge"

    def __init__(self, genome: Genome, sample: Sample, weights: np.ndarray | None = None):
        """Fit it; a gene of a larger weight is penalised less."""
        self._genome, self._frame = genome, _Frame.of(sample)
        weights = np.ones(len(genome.sizes)) if weights is None else weights
        self._sizes = np.repeat(np.sqrt(weights), genome.sizes)
        matrix = self._matrix(sample.rows, sample.logs)
        scores = (sample.scores - self._frame.middle) / self._frame.size
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        turned, squares = left.T @ scores, values**2
        shrunk = squares / (squares + PENALTIES[:, None])  # a line each penalty
        lever = shrunk @ (left**2).T
        misses = (scores - (shrunk * turned) @ left.T) / np.maximum(1 - lever, 1e-6)
        best = int(np.argmin((misses**2).mean(axis=1)))
        self._penalty, self._right, self._squares = PENALTIES[best], right, squares
        self._effects = (values / (squares + self._penalty) * turned) @ right
        # The scale at which the scores are likeliest, were the effects drawn from a normal distribution.
        unseen = max(float(scores @ scores - turned @ turned), 0.0) / self._penalty
        self._scale = float(np.sqrt(((turned**2 / (squares + self._penalty)).sum() + unseen) / len(scores)))
        self.left_out = self._frame.middle + self._frame.size * (scores - misses[best])

    def mean(self, rows: Rows, logs: np.ndarray) -> np.ndarray:
        return self._frame.middle + self._frame.size * (self._matrix(rows, logs) @ self._effects)

    def deviation(self, rows: Rows, logs: np.ndarray) -> np.ndarray:
        matrix = self._matrix(rows, logs)
        seen = (matrix @ self._right.T) ** 2
        unseen = np.maximum((matrix**2).sum(axis=1) - seen.sum(axis=1), 0)
        variance = self._penalty * (seen / (self._squares + self._penalty)).sum(axis=1) + unseen
        return self._frame.size * self._scale * np.sqrt(variance)

    def effects(self) -> list[np.ndarray]:
        """Return for each gene what each of its choices adds to the score, beside what it does to the costs."""
        each = self._frame.size * self._effects[-len(self._sizes) :] * self._sizes
        return np.split(each, self._genome.starts[1:])

    def _matrix(self, rows: Rows, logs: np.ndarray) -> np.ndarray:
        return np.hstack([self._frame.trend(logs), self._genome.onehot(rows) * self._sizes])


class _Settings(NamedTuple):
    """What a process believes before it has seen anything."""

    alike: float  # how much neighbouring choices of a gene resemble each other
    share: float  # of what genes do, how much they do together
    order: float  # of how many genes together


class Process:
    """A Gaussian process: effects of single genes, effects of genes together, and the costs."""

    name = "process"

    def __init__(self, genome: Genome, sample: Sample, weights: np.ndarray | None = None):
        """Choose settings by the likelihood of the scores, then fit; a gene of a larger weight matters more."""
        part, self._frame = _scaled(sample)
        scores = (sample.scores - self._frame.middle) / self._frame.size
        weights = np.ones(len(genome.sizes)) if weights is None else weights
        spans = {alike: _tables(genome, alike) * np.sqrt(weights)[:, None, None] for alike in ALIKE}
        self._settings, self._noise = self._choose(spans, part)
        self._tables = spans[self._settings.alike]
        self._points = _embedded(self._tables, sample.rows)
        self._trend = self._frame.trend(sample.logs)
        kernel = self._kernel(self._points, self._points) + self._trend @ self._trend.T
        kernel[np.diag_indices_from(kernel)] += self._noise
        self._inverse = np.linalg.inv(kernel)
        self._pull = self._inverse @ scores
        misses = self._pull / np.diag(self._inverse)
        self._scale = float(np.sqrt(np.maximum(scores @ self._pull / len(scores), TINY)))
        self.left_out = self._frame.middle + self._frame.size * (scores - misses)

    def mean(self, rows: Rows, logs: np.ndarray) -> np.ndarray:
        return self._frame.middle + self._frame.size * (self._towards(rows, logs) @ self._pull)

    def deviation(self, rows: Rows, logs: np.ndarray) -> np.ndarray:
        towards, trend = self._towards(rows, logs), self._frame.trend(logs)
        own = 1.0 + (trend**2).sum(axis=1)
        variance = own - ((towards @ self._inverse) * towards).sum(axis=1)
        return self._frame.size * self._scale * np.sqrt(np.maximum(variance, TINY))

    def _towards(self, rows: Rows, logs: np.ndarray) -> np.ndarray:
        return self._kernel(_embedded(self._tables, rows), self._points) + self._frame.trend(logs) @ self._trend.T

    def _kernel(self, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        return _together(ones @ others.T, self._settings)

    def _choose(self, tables: dict[float, np.ndarray], part: Sample) -> tuple[_Settings, float]:
        """Return the settings and the noise under which the scores are likeliest, one setting changed at a time."""
        trend = self._frame.trend(part.logs)
        fixed = trend @ trend.T
        matches = {}
        for alike in ALIKE:
            points = _embedded(tables[alike], part.rows)
            matches[alike] = points @ points.T
        known: dict[_Settings, tuple[float, float]] = {}

        def likelihood(settings: _Settings) -> tuple[float, float]:
            if settings not in known:
                kernel = _together(matches[settings.alike], settings) + fixed
                known[settings] = _likeliest(kernel, part.scores)
            return known[settings]

        best = _Settings(ALIKE[1], SHARE[1], ORDER[1])
        for _ in range(SWEEPS):
            before = best
            for field, choices in zip(_Settings._fields, (ALIKE, SHARE, ORDER), strict=True):
                tried = [best._replace(**{field: choice}) for choice in choices]
                best = max(tried, key=lambda settings: likelihood(settings)[0])
            if best == before:
                break
        return best, likelihood(best)[1]


def _scaled(sample: Sample) -> tuple[Sample, _Frame]:
    """Return a part of a sample, small enough to try things on, and the frame that scales it."""
    frame = _Frame.of(sample)
    some = np.unique(np.linspace(0, len(sample.scores) - 1, min(SUBSET, len(sample.scores))).astype(int))
    scores = (sample.scores[some] - frame.middle) / frame.size
    return Sample(sample.rows[some], sample.logs[some], scores), frame


def _together(matches: np.ndarray, settings: _Settings) -> np.ndarray:
    """Return a kernel from the share of genes on which two rows agree: a sum over genes, and a product over them."""
    return (1 - settings.share) * matches + settings.share * np.exp(settings.order * (matches - 1))


def _tables(genome: Genome, alike: float) -> np.ndarray:
    """Return a point for each choice of each gene: the inner product of two tells how much they resemble each other."""
    most = int(genome.sizes.max())
    tables = np.zeros((len(genome.sizes), most + 1, most))  # the last line is that of a gene that does not count
    for table, size in zip(tables, genome.sizes.tolist(), strict=True):
        apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        table[:size, :size] = np.linalg.cholesky(np.power(alike, apart))  # 0 to the power of 0 is 1
    return tables / np.sqrt(len(genome.sizes))


def _embedded(tables: np.ndarray, rows: Rows) -> np.ndarray:
    """Return points whose inner products are the share of genes on which rows agree, neighbouring choices in part."""
    points = tables[np.arange(len(tables)), np.where(rows == OFF, tables.shape[2], rows)]
    return points.reshape(len(rows), -1)


def _likeliest(kernel: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Return the logarithm of the likelihood at the best noise and scale, up to a constant, and that noise."""
    values, vectors = np.linalg.eigh(kernel)
    turned = (vectors.T @ scores) ** 2
    spread = np.maximum(values, 0)[None] + NOISES[:, None]
    logs = -0.5 * len(scores) * np.log(np.maximum((turned / spread).mean(axis=1), TINY)) - 0.5 * np.log(spread).sum(
        axis=1
    )
    best = int(np.argmax(logs))
    return float(logs[best]), float(NOISES[best])
