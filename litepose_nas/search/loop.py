"""The search loop, on any executor: ask, evaluate, write down, tell; the journal is the search."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from litepose_nas.executors.base import Executor
from litepose_nas.executors.serial import SerialExecutor
from litepose_nas.search.journal import AnyJournal, evaluations
from litepose_nas.search.problem import Evaluated, Problem, Searcher, score
from litepose_nas.search.ranking import Result
from litepose_nas.space import Arch, Space


class ScoringJob(NamedTuple):
    """A job for a worker: score an architecture."""

    number: int
    arch: dict[str, Any]
    family: str = ""  # whose supernet
    again: int = 0  # or the number of a repetition


def run_search(
    problem: Problem,
    searcher: Searcher,
    evaluate: Callable[[Arch], Mapping[str, Any]],
    journal: AnyJournal,
    evals: int,
    on_result: Callable[[Evaluated, int], None] | None = None,
) -> list[Evaluated]:
    """Search in this process, with a function that evaluates an architecture; see `search_on`."""
    here = SerialExecutor(lambda job: evaluate(problem.space.arch(job.arch)))
    return search_on(problem, searcher, here, journal, evals, on_result)


def search_on(
    problem: Problem,
    searcher: Searcher,
    executor: Executor,
    journal: AnyJournal,
    evals: int,
    on_result: Callable[[Evaluated, int], None] | None = None,
    family: str = "",
) -> list[Evaluated]:
    """Evaluate until `evals` results are in the journal, those already there included, and return them all scored.

    They come in the order of proposal, whatever the executor and its workers. `on_result` gets each new one, scored
    among all so far, and their number. A search that is interrupted or killed loses only the evaluations in flight; the
    same call continues it. It ends early when the space is exhausted.
    """
    problem = problem.remembering()
    results = replay(problem.space, searcher, journal)
    taken = {one.number for one in evaluations(problem.space, journal) if not one.again}
    # What was in flight when a search was killed is proposed first again, so it gets the numbers that are missing.
    numbers = (number for number in itertools.count(1) if number not in taken)
    going: dict[int, Arch] = {}
    while True:
        while (wanted := min(executor.free, evals - len(results) - len(going))) > 0:
            archs = searcher.ask(wanted)
            if not archs:
                break
            for arch, number in zip(archs, numbers, strict=False):  # in this order, or numbers would be lost
                going[number] = arch
                executor.submit(ScoringJob(number, arch.to_dict(), family))
        if not going:
            break
        done = executor.wait()
        number, arch = done.job.number, going.pop(done.job.number)
        found = dict(done.result)
        found.setdefault("seconds", round(done.seconds, 4))
        # What a replay will read is what the searcher is told, so that both go on alike.
        record = journal.append(
            {"n": number, "arch": done.job.arch, "cost": problem.cost(arch)._asdict(), "result": found}
        )
        results[arch] = record["result"]
        searcher.tell(arch, results[arch])
        if on_result:
            on_result(score(problem, results)[-1], len(results))
    return score(problem, replay(problem.space, None, journal))


def replay(space: Space, searcher: Searcher | None, journal: AnyJournal) -> dict[Arch, Result]:
    """Return what a journal holds, in the order of proposal, and tell it to the searcher, in the order it came.

    What was scored again is not told.
    """
    found = [one for one in evaluations(space, journal) if not one.again]
    if searcher:
        for one in found:
            searcher.tell(one.arch, one.result)
    return {one.arch: one.result for one in sorted(found, key=lambda one: one.number)}
