"""The search methods by name."""

from __future__ import annotations

from litepose_nas.search import guided, nsga2, random_search
from litepose_nas.search.batched import BatchedSearcher
from litepose_nas.search.problem import Problem

METHODS = ("guided", "nsga2", "random")


def searcher_of(method: str, problem: Problem, seed: int, evals: int) -> BatchedSearcher:
    """Return what proposes architectures, sized for a number of evaluations."""
    if method == "nsga2":
        return nsga2.searcher(problem, seed, population=min(20, max(6, evals // 4)), children=10)
    if method == "random":
        return random_search.searcher(problem, seed)
    return guided.searcher(problem, seed, start=min(40, max(6, evals // 3)), round=min(10, max(2, evals // 12)))
