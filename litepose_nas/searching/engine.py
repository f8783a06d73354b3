"""The loop of a search in one process: ask, evaluate, write down, tell; the journal is the search."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.runs.journal import Journal, Lines
from litepose_nas.searching.problem import Evaluated, Problem, Result, Searcher, score
from litepose_nas.space import Arch, Space


def header(space: Space, seed: int, **more: Any) -> dict[str, Any]:
    """Return what a search's journal must agree on: the space as a whole, the seed, and what else decides results."""
    return {"kind": "search", "space": space.name, "tree": json.loads(space.source), "seed": seed, **more}


def run_search(
    problem: Problem,
    searcher: Searcher,
    evaluate: Callable[[Arch], Mapping[str, Any]],
    journal: Journal,
    evals: int,
    on_result: Callable[[Evaluated, int], None] | None = None,
) -> list[Evaluated]:
    """Evaluate until so many results are in the journal, those already there included, and return them all scored.

    `on_result` gets each new one, scored among all so far, and their number. A search that is interrupted or killed
    loses the evaluation in flight only; the same call continues it. It ends early when the space has no more.
    """
    problem = problem.remembering()
    results = replay(problem.space, searcher, journal)
    while len(results) < evals and (archs := searcher.ask(evals - len(results))):
        for arch in archs:
            started = time.perf_counter()
            found = dict(evaluate(arch))
            found.setdefault("seconds", round(time.perf_counter() - started, 4))
            cost = problem.cost(arch)._asdict()
            # What a replay will read is what the searcher is told, so that both go on alike.
            record = journal.append({"n": len(results) + 1, "arch": arch.to_dict(), "cost": cost, "result": found})
            results[arch] = record["result"]
            searcher.tell(arch, results[arch])
            if on_result:
                on_result(score(problem, results)[-1], len(results))
    return score(problem, results)


def replay(space: Space, searcher: Searcher | None, journal: Lines) -> dict[Arch, Result]:
    """Return what a journal holds, in its order, and tell it to the searcher; what was scored again is not told."""
    results: dict[Arch, Result] = {}
    for line, record in enumerate(journal.records, 2):
        if "again" in record:
            continue
        try:
            arch, result = space.arch(record["arch"]), record["result"]
        except (KeyError, TypeError, UserError) as error:
            raise UserError(f"{journal.path}: line {line} is no evaluation of {space.name}: {error}") from error
        results[arch] = result
        if searcher:
            searcher.tell(arch, result)
    return results
