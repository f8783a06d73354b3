"""The loop of a search, whatever engine evaluates: ask, evaluate, write down, tell; the journal is the search."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from litepose_nas.errors import UserError
from litepose_nas.executors.base import Executor
from litepose_nas.executors.serial import SerialExecutor
from litepose_nas.runs.journal import Lines, Open, Record
from litepose_nas.search.problem import Evaluated, Problem, Result, Searcher, score
from litepose_nas.space import Arch, Space

KIND = "search"
RETIRED = {"first_look": 1.0, "eager": False}  # options of the past, and how they were when they were not used


def header(space: Space, seed: int, **more: Any) -> dict[str, Any]:
    """Return what a search's journal must agree on: the space as a whole, the seed, and what else decides results."""
    return {"kind": KIND, "space": space.name, "tree": json.loads(space.source), "seed": seed, **more}


def upgraded(header: Record) -> Record:
    """Return the first line of a journal of an older version as this one writes it."""
    return {key: value for key, value in header.items() if key not in RETIRED or value != RETIRED[key]}


class Look(NamedTuple):
    """A job for a worker: score an architecture."""

    number: int
    arch: dict[str, Any]
    again: int = 0  # or the number of a repetition


def run_search(
    problem: Problem,
    searcher: Searcher,
    evaluate: Callable[[Arch], Mapping[str, Any]],
    journal: Open,
    evals: int,
    on_result: Callable[[Evaluated, int], None] | None = None,
) -> list[Evaluated]:
    """Search in this process, with a function that evaluates an architecture; see `search_on`."""
    here = SerialExecutor(lambda look: evaluate(problem.space.arch(look.arch)))
    return search_on(problem, searcher, here, journal, evals, on_result)


def search_on(
    problem: Problem,
    searcher: Searcher,
    engine: Executor,
    journal: Open,
    evals: int,
    on_result: Callable[[Evaluated, int], None] | None = None,
) -> list[Evaluated]:
    """Evaluate until so many results are in the journal, those already there included, and return them all scored.

    They come in the order of proposal, whatever engine and however many workers have done the looks. `on_result` gets
    each new one, scored among all so far, and their number. A search that is interrupted or killed loses the
    evaluations in flight only; the same call continues it. It ends early when the space has no more.
    """
    problem = problem.remembering()
    results = replay(problem.space, searcher, journal)
    taken = {number for number, _ in _numbered(problem.space, journal)}
    # What was in flight when a search was killed is proposed first again, so it gets the numbers that are missing.
    numbers = (number for number in itertools.count(1) if number not in taken)
    going: dict[int, Arch] = {}
    while True:
        while (wanted := min(engine.free, evals - len(results) - len(going))) > 0:
            archs = searcher.ask(wanted)
            if not archs:
                break
            for arch, number in zip(archs, numbers, strict=False):  # in this order, or numbers would be lost
                going[number] = arch
                engine.submit(Look(number, arch.to_dict()))
        if not going:
            break
        done = engine.wait()
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


def replay(space: Space, searcher: Searcher | None, journal: Lines) -> dict[Arch, Result]:
    """Return what a journal holds, in the order of proposal, and tell it to the searcher, in the order it came.

    What was scored again is not told.
    """
    found: list[tuple[int, Arch, Result]] = []
    for number, (arch, result) in _numbered(space, journal):
        found.append((number, arch, result))
        if searcher:
            searcher.tell(arch, result)
    return {arch: result for _, arch, result in sorted(found, key=lambda item: item[0])}


def _numbered(space: Space, journal: Lines) -> Iterator[tuple[int, tuple[Arch, Result]]]:
    for line, record in enumerate(journal.records, 2):
        if not record or "again" in record:  # an empty one stands for what is none of this search's
            continue
        try:
            yield record.get("n", line), (space.arch(record["arch"]), record["result"])
        except (KeyError, TypeError, UserError) as error:
            raise UserError(f"{journal.path}: line {line} is no evaluation of {space.name}: {error}") from error
