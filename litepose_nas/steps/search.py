"""The second step: search trained supernets for the best networks within a budget.

One supernet is the ordinary case. Several share the evaluations, one journal and one front; each is ranked its own way,
and their best are compared by AP on the same images.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from litepose_nas import devices, files
from litepose_nas.executors.base import Executor
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.formats import subnet_file
from litepose_nas.latency import profile as profile_file
from litepose_nas.metrics.coco import bootstrap_ap
from litepose_nas.report import page, plots
from litepose_nas.report.pages.html import FOLDER
from litepose_nas.report.record import load_search
from litepose_nas.report.refresh import PageRefresher
from litepose_nas.report.summary import Summary, summarise, to_json
from litepose_nas.runs.journal import Journal, plain
from litepose_nas.runs.run import Run
from litepose_nas.search import finalists
from litepose_nas.search.allocation import FamilySearch, take_turns
from litepose_nas.search.comparison import FamilyResults, compare
from litepose_nas.search.journal import JournalView, header, upgraded
from litepose_nas.search.loop import search_on
from litepose_nas.search.methods import searcher_of
from litepose_nas.search.part import PartSearcher
from litepose_nas.search.problem import Evaluated, Searcher
from litepose_nas.steps.common import Say
from litepose_nas.steps.measured_again import Show
from litepose_nas.steps.measured_finalists import measure_finalists
from litepose_nas.steps.search_plan import EVALS, OPS, PROFILES, Search, work_of
from litepose_nas.steps.stored_poses import store_poses

VERB = "search"
CHOSEN = "subnet.json"  # in the folder of the run
RESAMPLES = 200
SUMMARY = "families.json"


def search(
    run: Run,
    ready: Search,
    on_result: Callable[[str, Evaluated, int], None] | None = None,
    options: ExecutorOptions = ExecutorOptions(),  # noqa: B008
    say: Say = lambda text: None,
    on_measured: Show = lambda done, total, text: None,
) -> Summary:
    """Search, from the run's journal if it has one; write what was found and return it.

    `on_result` gets each result with its family and the number of results so far. An architecture is evaluated by one
    thread, so its scores are the same bits on every executor. With latency profiles, finalists are measured at the end:
    `on_measured` gets the seconds.
    """
    families, evals = ready.families, int(ready.options.evals or EVALS)
    for profile in ready.profiles.values():
        copy = run.folder / PROFILES / Path(profile.where).name
        if not copy.exists():
            profile_file.write(copy, profile.profile)
    if ready.options.ops:
        copy = run.folder / OPS / Path(ready.options.ops).name
        if not copy.exists():
            files.write(copy, Path(ready.options.ops).read_bytes())
    journal = Journal(run.journal, _header(ready), _notes(ready), upgraded)
    refresh = PageRefresher(lambda every: _live_page(run, every), run.log)

    def report(name: str, one: Evaluated, number: int) -> None:
        if on_result:
            on_result(name, one, number)
        refresh()

    scorers = {name: one.candidates for name, one in families.items()}
    on_gpu = next(iter(scorers.values())).scorer.device.type == "cuda"
    with devices.one_thread():
        executor = open_executor(options, work_of(scorers), ready.worker.work, on_gpu, run.log)
        with closing(executor):
            searches = [_family_search(ready, name, executor, journal, report) for name in families]
            results = []
            for name, found in zip(families, take_turns(searches, evals), strict=True):
                problem, count = families[name].problem, len(found) if ready.several else evals
                few = min(5, max(2, count // 10)) if ready.options.finalists is None else ready.options.finalists
                best = finalists.finalists(found, problem.budget, few)
                again = finalists.score_again(problem, best, executor, JournalView(journal, name), family=name)
                results.append(FamilyResults(name, problem, found, again))
        # Not before the executor has let go of the cores.
        results = measure_finalists(ready, results, run, journal, say, on_measured)
        bootstrap(ready, results, journal)
    summary = conclude(run)
    store_poses(run, ready, summary)
    page.write(summarise(summary.record, models=True), run.folder / FOLDER)
    return summary


def _live_page(run: Run, every: float) -> None:
    page.write_live(summarise(load_search(run.folder)), run.folder / FOLDER, every)


def _family_search(
    ready: Search,
    name: str,
    executor: Executor,
    journal: Journal,
    on_result: Callable[[str, Evaluated, int], None],
) -> FamilySearch:
    problem, part, asked = ready.families[name].problem.remembering(), ready.families[name].part, ready.options
    evals = int(asked.evals or EVALS) // len(ready.families)
    searcher: Searcher = searcher_of(asked.method, part or problem, asked.seed, evals)
    if part:
        searcher = PartSearcher(searcher, part.space, problem.space)

    def report(one: Evaluated, _: int) -> None:
        on_result(name, one, sum("n" in record for record in journal.records))

    return lambda until: search_on(problem, searcher, executor, JournalView(journal, name), until, report, name)


def bootstrap(ready: Search, families: Sequence[FamilyResults], journal: Journal) -> None:
    """Write down how far ahead the winner would be had the images been others, from the same draws for all."""
    comparison = compare(families, ready.budget, ready.workload)
    if comparison is None or len(comparison.choices) < 2:
        return
    winner, others = comparison.winner, [one for one in comparison.choices if one is not comparison.winner]
    found: dict[str, Any] = {"winner": winner.family, "arch": winner.one.arch.to_dict()}
    if any({key: record.get(key) for key in found} == found for record in journal.records if "ahead" in record):
        return
    samples = {}
    for one in comparison.choices:
        candidates = ready.families[one.family].candidates
        results = candidates.found(one.one.arch)
        samples[one.family] = bootstrap_ap(candidates.scorer.truth, results, resamples=RESAMPLES)
    ahead = []
    for one in others:
        lead = samples[winner.family] - samples[one.family]
        low, high = sorted(lead.tolist())[RESAMPLES // 40], sorted(lead.tolist())[-1 - RESAMPLES // 40]
        ahead.append({"family": one.family, "arch": one.one.arch.to_dict(), "low": low, "high": high})
    journal.append({**found, "ahead": ahead})


def conclude(run: Run) -> Summary:
    """Write the front as table and plot, and the subnet.json of the front and of the choice, from the run's journal.

    Of several families also families.json, who wins with how many people, and the subnet.json of each family's best.
    """
    found = summarise(load_search(run.folder))
    families, several = found.record.families, found.record.several
    own = [(name, one) for name, family in families.items() for one in family.found]
    more: dict[str, Sequence[object]] = {}
    if several:
        more = {"family": [name for name, _ in own], "macs_of_a_run": [one.cost.macs for _, one in own]}
    # `score` is what its own family ranks by; `ap`, beside it, is what compares.
    scored = [one._replace(score=mine.score) for one, (_, mine) in zip(found.found, own, strict=True)]
    page.write_csv(run.folder / "front.csv", scored, more, [found.measured(one) for one in found.found])
    run.write("front.svg", page.front_plot(found, found.by))
    if found.people:
        run.write("people.svg", plots.crossing(found))
    if several:
        run.write(SUMMARY, json.dumps(to_json(found), indent=2) + "\n")
    compared = plain({"ranked_by": found.by, **found.baselines.plain()})
    run.write("baselines.json", json.dumps(compared, indent=2) + "\n")
    for number, one in enumerate(found.front):
        subnet_file.write(run.folder / "front" / f"subnet-{number}.json", found.subnet(one))
    for best in found.comparison.choices if several else []:
        subnet_file.write(run.folder / "best" / f"{best.family}.json", found.subnet(best.one))
    subnet_file.write(run.folder / CHOSEN, found.subnet(found.chosen))
    return found


def _header(ready: Search) -> dict[str, Any]:
    asked, boxes = ready.options, ready.worker.boxes
    supernets = {name: (one.problem.space, one.info["supernet"]["sha256"]) for name, one in ready.families.items()}
    more = {
        **ready.workload.plain(),
        "budget": [str(limit) for limit in ready.budget.limits],
        "boxes": {"sha256": files.sha256(boxes.path), "least_score": boxes.least_score} if boxes else None,
        **({"evals": asked.evals} if ready.several else {}),  # turns follow from it
        "method": asked.method,
        "objectives": next(iter(ready.families.values())).problem.low,
        "rank": asked.rank,
        **({"latency": {name: one.profile.sha256 for name, one in ready.profiles.items()}} if ready.profiles else {}),
        **({"ops": ready.ops.sha256} if ready.ops else {}),
    }
    return header(supernets, asked.seed, **more)


def _notes(ready: Search) -> dict[str, Any]:
    """What a report needs to know beside the results."""
    boxes = ready.worker.boxes
    return {
        "budget": [limit.text for limit in ready.budget.limits],
        "convention": ready.budget.convention,
        "judged": {
            "pictures": ready.images,
            "people": ready.people,
            "boxes": f"the boxes of {boxes.path}, score {boxes.least_score:g} or more" if boxes else "the true boxes",
        },
        "families": {
            name: {"joints": one.candidates.supernet.joints, "info": one.info} for name, one in ready.families.items()
        },
        **({"latency": {name: one.profile.words for name, one in ready.profiles.items()}} if ready.profiles else {}),
        **({"ops": ready.ops.words} if ready.ops else {}),
    }
