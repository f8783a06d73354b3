"""Which choices matter, told by the model of the scores: what it gains by looking at them, and loses by not doing so.

The model knows what each network costs throughout, so this is what a choice does beside making a network dearer. It
gains more than it loses where other choices, together with the costs, tell the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from litepose_nas.search import surrogate
from litepose_nas.search.encoding import Genome
from litepose_nas.search.problem import Evaluated, Problem
from litepose_nas.search.ranking import FAILED
from litepose_nas.search.surrogate import Ridge, Sample
from litepose_nas.space import Value

FEWEST = 8  # scores that a model can be fitted on


class Matter(NamedTuple):
    """How much a gene, or all genes of a kind, matter to the model."""

    name: str
    gained: float  # of the variance of left-out scores, by a model that sees it and the costs, over the costs alone
    lost: float  # by a model that sees everything else
    effects: tuple[tuple[Value, float], ...] = ()  # of each choice on the score, beside what it costs; of one gene only


class Fitted(NamedTuple):
    """The models fitted on everything that was evaluated, by how well they predict scores that were left out."""

    model: str  # ridge or process: the one that ranks better
    tau: float  # of its left-out predictions, cost apart
    explained: float  # the share of the variance of left-out scores that the ridge explains
    by_cost: float  # the share that a ridge explains that sees the costs alone
    genes: list[Matter]  # what matters most first
    kinds: list[Matter]
    expected: dict[int, float]  # for each network by its place, what the model predicts without it


def fitted(problem: Problem, found: Sequence[Evaluated]) -> Fitted | None:
    places = [at for at, one in enumerate(found) if one.score != FAILED]
    if len(places) < FEWEST:
        return None
    genome, kept = Genome(problem.space), [found[at] for at in places]
    sample = sample_of(genome, problem, kept)
    model, weights = surrogate.fit(genome, sample), surrogate.relevance(genome, sample)
    whole = Ridge(genome, sample, weights)
    explained = explains(whole, sample)

    everything = range(len(weights))

    def seeing(genes: Iterable[int]) -> float:
        seen = np.zeros(len(weights))
        seen[list(genes)] = weights[list(genes)]
        return explains(Ridge(genome, sample, seen), sample)

    by_cost = seeing([])

    def matter(name: str, genes: Sequence[int], effects: tuple[tuple[Value, float], ...] = ()) -> Matter:
        rest = [at for at in everything if at not in genes]
        return Matter(name, seeing(genes) - by_cost, explained - seeing(rest), effects)

    effects, kinds = whole.effects(), {kind: [] for kind in map(kind_of, _paths(problem))}  # type: ignore[var-annotated]
    for gene in problem.space.genes:
        kinds[kind_of(gene.path)].append(gene.at)
    genes = [
        matter(gene.path, [gene.at], tuple(zip(gene.choices, effects[gene.at].tolist(), strict=True)))
        for gene in problem.space.genes
        if len(gene.choices) > 1
    ]
    return Fitted(
        model.name,
        surrogate.tau(model, sample),
        explained,
        by_cost,
        sorted(genes, key=lambda one: -one.gained),
        sorted((matter(kind, ats) for kind, ats in kinds.items()), key=lambda one: -one.gained),
        dict(zip(places, model.left_out.tolist(), strict=True)),
    )


def sample_of(genome: Genome, problem: Problem, found: Sequence[Evaluated]) -> Sample:
    """Return what a search's model learns from: choices, logarithms of costs, scores."""
    limits = (limit.field for limit in problem.budget.limits)
    fields = dict.fromkeys([*problem.low, *limits, "macs", "params"])
    costs = np.array([[getattr(one.cost, field) for field in fields] for one in found], dtype=float)
    scores = np.array([one.score for one in found])
    return Sample(genome.rows([one.arch for one in found]), np.log(np.maximum(costs, 1e-12)), scores)


def explains(model: Ridge, sample: Sample) -> float:
    """Return the share of the variance of the scores that left-out predictions explain; below 0: none, and worse."""
    spread = ((sample.scores - sample.scores.mean()) ** 2).sum()
    return float(1 - ((sample.scores - model.left_out) ** 2).sum() / spread) if spread > 0 else 0.0


def kind_of(path: str) -> str:
    """What a gene is of: stages.0.blocks.2.kernel is one of the kernels of the stages."""
    parts = path.split(".")
    return parts[0] if len(parts) == 1 else f"{parts[0]} {parts[-1]}"


def place_of(path: str) -> str:
    """Return where a gene is, blocks of a stage taken together: stages.0.blocks.2.kernel is in stages.0.kernel."""
    parts = path.split(".")
    return ".".join(part for at, part in enumerate(parts) if "blocks" not in (part, parts[at - 1] if at else ""))


def _paths(problem: Problem) -> list[str]:
    return [gene.path for gene in problem.space.genes]
