"""The second step: search a supernet for the best networks within a budget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import costs, devices, files, weights
from litepose_nas.budget import Budget
from litepose_nas.costs import Cost
from litepose_nas.data.source import Source, open_source
from litepose_nas.errors import UserError, nearest
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.formats import subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.pose.make_task import make_task
from litepose_nas.report import plots
from litepose_nas.runs import metrics
from litepose_nas.runs.journal import Journal, plain
from litepose_nas.runs.run import Run
from litepose_nas.search import baselines, finalists, guided, loop, nsga2, random_search
from litepose_nas.search.baselines import Baselines
from litepose_nas.search.batched import BatchedSearcher
from litepose_nas.search.finalists import Selection
from litepose_nas.search.loop import Look
from litepose_nas.search.pareto import front, write_csv
from litepose_nas.search.problem import RANKS, Evaluated, Problem, Result, by_ap_or_loss, ranked_by
from litepose_nas.search.scoring import Protocol, Scorer, SupernetScorer
from litepose_nas.space import Arch
from litepose_nas.steps import train_supernet
from litepose_nas.steps.common import MOST_IN_SLICE, boxes_for, check_joints, describe, read_data
from litepose_nas.train.recipe import from_mapping

VERB = "search"
CHOSEN = "subnet.json"  # in the folder of the run
METHODS = ("guided", "nsga2", "random")
QUICK_MINUTES = 4.0
EVALS = 200
QUICK_EVALS = (14, 200)
QUICK_PROTOCOL, QUICK_SLICE = Protocol(calibration=16, batch=8), 32


class SearchConfig(NamedTuple):
    """How to search."""

    method: str = METHODS[0]
    objectives: tuple[str, ...] = ()  # fields of Cost to keep low; none named: the MACs
    finalists: int | None = None  # how many of the best are scored again; None: a few
    rank: str = "auto"  # by ap or by loss; auto: by AP, but by loss while most APs are too low to tell nets apart

    def check(self, fields: Sequence[str] = Cost._fields) -> None:
        """Raise a UserError where a name is unknown; objectives are fields of what a network costs."""
        if self.method not in METHODS:
            raise UserError(f"--method {self.method!r}: {nearest(self.method, METHODS)}")
        if self.rank not in RANKS:
            raise UserError(f"--rank {self.rank!r}: {nearest(self.rank, RANKS)}")
        for field in self.objectives:
            if field not in fields:
                raise UserError(f"--objective {field!r}: {nearest(field, fields)}")


class DetectionsFile(NamedTuple):
    """Where people are, as a detector says."""

    path: str
    least_score: float = 0.0


class WorkerSpec(NamedTuple):
    """What any worker needs to know to build candidates of its own: a few words, and files it can read."""

    trained: str  # the folder of the supernet's run
    data: str
    device: str
    protocol: Protocol
    most_in_slice: int
    boxes: DetectionsFile | None = None  # for networks that see one person at a time; None: the true ones

    def work(self) -> Callable[[Look], dict[str, float]]:
        """Return what scores candidates in this process, on one thread."""
        torch.set_num_threads(1)
        return looking(_candidates(self, open_source(self.data)))


class SearchContext(NamedTuple):
    """What a search needs: a supernet, how to judge its networks, and where it was trained."""

    candidates: SupernetScorer
    problem: Problem
    info: dict[str, Any]  # goes into the subnet.json
    making: WorkerSpec  # the same candidates, for workers elsewhere


class SearchResult(NamedTuple):
    """What a search brought home."""

    results: list[Evaluated]
    chosen: Evaluated
    ranked_by: str
    subnet: Subnet
    selection: Selection
    compared: Baselines


def prepare(
    trained: Run,
    source: Source,
    budget: Budget,
    device: str,
    quick: bool,
    protocol: Protocol | None = None,
    most_in_slice: int | None = None,
    boxes: DetectionsFile | None = None,
) -> SearchContext:
    """Load a trained supernet and the pictures it is judged by: so many, in that way, if told."""
    protocol = protocol or (QUICK_PROTOCOL if quick else Protocol())
    where = devices.pick(device)
    making = WorkerSpec(str(trained.folder), source.name, str(where), protocol, most_in_slice or slice_of(quick), boxes)
    candidates = _candidates(making, source)
    kept, path, supernet = trained.settings, trained.folder / train_supernet.WEIGHTS, candidates.supernet
    joints = supernet.joints
    budget.check_reachable(supernet.space, joints)
    many = costs.columns(supernet.space, joints)
    problem = Problem(supernet.space, budget, lambda arch: costs.cost(arch, joints=joints), by_ap_or_loss, many)
    judge = candidates.scorer
    info = {
        "supernet": {"path": str(path), "sha256": files.sha256(path)},
        "data": source.name,
        "seed": kept["seed"],
        "recipe": kept["recipe"],
        **describe(judge.split.heldout.dataset.skeleton, judge.task),
    }
    return SearchContext(candidates, problem, info, making)


def check_resumable(run: Run) -> None:
    """Refuse a run begun with an option that is gone; `report` still reads it."""
    for key, value in loop.RETIRED.items():
        if run.settings.get(key, value) != value:
            raise UserError(
                f"{run.folder}: begun with --{key.replace('_', '-')}, which is gone; resume it with the version that "
                f"began it ({run.env['litepose_nas']}, commit {run.env['commit']}), or search again"
            )


def is_quick(evals: int | None, device: str) -> bool:
    """Return whether a search shall be over in minutes: on a processor, unless told how long it may be."""
    return evals is None and devices.pick(device).type == "cpu"


def slice_of(quick: bool) -> int:
    """Return how many held-out pictures candidates are judged by at most."""
    return QUICK_SLICE if quick else MOST_IN_SLICE


def _candidates(making: WorkerSpec, source: Source) -> SupernetScorer:
    trained = Run.open(making.trained)
    kept, path = trained.settings, trained.folder / train_supernet.WEIGHTS
    where = devices.pick(making.device)
    supernet = weights.load_supernet(path, device=where, memory_format=devices.layout(where))
    recipe = from_mapping(kept["recipe"])
    space = supernet.space
    data = read_data(source, kept["seed"], making.most_in_slice, task=space.task)
    check_joints(data, source, supernet.joints, path)
    task = make_task(data.skeleton, recipe.task_info, space.task, space.widest.clip_length)
    seeing = None
    if making.boxes and space.task.once_a_person:
        file, least = making.boxes
        seeing = task.with_boxes(boxes_for(data.split.heldout.dataset, source.name, Path(file), least))
    return SupernetScorer(supernet, Scorer(data.split, task, recipe, where, making.protocol, seeing))


def looking(candidates: SupernetScorer) -> Callable[[Look], dict[str, float]]:
    """Return what answers a search that asks for a look at an architecture."""
    space = candidates.supernet.space
    return lambda look: candidates(space.arch(look.arch), look.again)


def seconds_each(setting: SearchContext) -> float:
    """Return about how long the evaluation of a network takes, from one of the cheapest."""
    cheap = setting.problem.budget.check_reachable(setting.problem.space, setting.candidates.supernet.joints)
    with devices.one_thread():
        setting.candidates(cheap)  # reads and warps the pictures, once
        start = time.perf_counter()
        setting.candidates(cheap)
    # Others are up to several times dearer than the cheapest; three is what the middle of a front came to.
    return 3 * (time.perf_counter() - start)


def evaluations_in(minutes: float, each: float) -> int:
    """Return how many evaluations of so many seconds fit into a time, within reason."""
    fitting = 60 * minutes / each
    return int(min(max(fitting, QUICK_EVALS[0]), QUICK_EVALS[1]))


def search(
    run: Run,
    setting: SearchContext,
    evals: int,
    seed: int,
    on_result: Callable[[Evaluated, int], None] | None = None,
    way: SearchConfig = SearchConfig(),  # noqa: B008
    choice: ExecutorOptions = ExecutorOptions(),  # noqa: B008
) -> SearchResult:
    """Search, from the run's journal if it has one; write the front and return what was found.

    An architecture is evaluated by one thread, so its scores are the same bits on every executor.
    """
    setting = in_way(setting, way)
    problem = setting.problem
    sha256, budget = setting.info["supernet"]["sha256"], [str(limit) for limit in problem.budget.limits]
    header = loop.header(problem.space, seed, supernet=sha256, budget=budget, **header_of(way, problem))
    journal = Journal(run.journal, header, notes_of(setting), loop.upgraded)
    searcher = searcher_of(way, problem, seed, evals)
    on_gpu = setting.candidates.scorer.device.type == "cuda"
    with devices.one_thread():
        crew = open_executor(choice, looking(setting.candidates), setting.making.work, on_gpu, run.log)
        with closing(crew):
            results = loop.search_on(problem, searcher, crew, journal, evals, on_result)
            best = finalists.finalists(results, problem.budget, finals_of(way, evals))
            again = finalists.score_again_on(problem, best, crew, journal)
    return conclude(run, setting, results, again, way.rank)


def in_way(setting: SearchContext, way: SearchConfig) -> SearchContext:
    """Return a setting whose problem is ranked, and kept low, in the way that is asked for."""
    way.check(setting.problem.cost(setting.problem.space.smallest)._fields)
    return setting._replace(problem=setting.problem._replace(objectives=way.objectives, scores=RANKS[way.rank]))


def header_of(way: SearchConfig, problem: Problem) -> dict[str, Any]:
    """Return what of a way decides results."""
    return {"method": way.method, "objectives": problem.low, "rank": way.rank}


def finals_of(way: SearchConfig, evals: int) -> int:
    """Return how many of the best are scored again."""
    return min(5, max(2, evals // 10)) if way.finalists is None else way.finalists


def notes_of(setting: SearchContext) -> dict[str, Any]:
    """Return what a report needs to know beside the results."""
    budget, joints = setting.problem.budget, setting.candidates.supernet.joints
    texts = [limit.text for limit in budget.limits]
    return {"budget": texts, "convention": budget.convention, "joints": joints, "info": setting.info}


def searcher_of(way: SearchConfig, problem: Problem, seed: int, evals: int) -> BatchedSearcher:
    """Return what proposes architectures, sized for so many evaluations."""
    if way.method == "nsga2":
        return nsga2.searcher(problem, seed, population=min(20, max(6, evals // 4)), children=10)
    if way.method == "random":
        return random_search.searcher(problem, seed)
    return guided.searcher(problem, seed, start=min(40, max(6, evals // 3)), round=min(10, max(2, evals // 12)))


def conclude(
    run: Run,
    setting: SearchContext,
    results: list[Evaluated],
    again: Mapping[Arch, Sequence[Result]] | None = None,
    rank: str = "auto",
) -> SearchResult:
    """Choose the best network within the budget; write front.csv, front.svg and every subnet.json of the front."""
    problem, joints = setting.problem, setting.candidates.supernet.joints
    if not results:
        raise UserError(f"{run.folder}: nothing was evaluated; give --evals 1 or more")
    selection = finalists.select(problem, results, again or {})
    if selection is None:
        raise UserError(
            f"{run.folder}: none of {len(results)} networks could be scored within the budget; train longer"
        )
    chosen, by = selection.chosen, ranked_by([item.result for item in results], rank)
    write_csv(run.folder / "front.csv", results)
    title = f"{problem.space.name}: {len(results)} networks"
    run.write("front.svg", plots.picture(results, problem.budget, chosen, title, by, selection.noise))
    compared = baselines.baselines(results, selection, problem.budget)
    run.write("baselines.json", json.dumps(plain({"ranked_by": by, **compared.plain()}), indent=2) + "\n")
    for number, item in enumerate(front(results, problem.budget, problem.objectives)):
        subnet_file.write(run.folder / "front" / f"subnet-{number}.json", subnet_of(item, joints, setting.info, by))
    subnet = subnet_of(chosen, joints, setting.info, by)
    subnet_file.write(run.folder / CHOSEN, subnet)
    return SearchResult(results, chosen, by, subnet, selection, compared)


def subnet_of(item: Evaluated, joints: int, info: dict[str, Any], by: str) -> Subnet:
    """Return the record of an evaluated network."""
    score = {"ap": item.result.get("ap"), "loss": item.result.get("loss"), "ranked_by": by, "of": "inherited weights"}
    return Subnet(item.arch, joints, {"score": score, **info})


def progress_of(trained: Run) -> tuple[int, int]:
    """Return how many steps a supernet has been trained for, and how many were planned."""
    rows = metrics.read(trained.folder / "metrics.jsonl")
    return (rows[-1]["step"] if rows else 0), int(trained.settings["steps"])


def find_supernet(named: str | None) -> Run:
    """Return the run of a supernet: the one named, or the newest."""
    if named is None:
        return Run.latest(train_supernet.VERB, having=train_supernet.WEIGHTS)
    folder = Path(named)
    if folder.name.endswith(".safetensors"):
        folder = folder.parent.parent
        if Path(named) != folder / train_supernet.WEIGHTS:
            raise UserError(f"{named}: not the {train_supernet.WEIGHTS} of a run; name the run's folder")
    run = Run.open(folder)
    if not (folder / train_supernet.WEIGHTS).is_file():
        raise UserError(f"{folder}: no {train_supernet.WEIGHTS} in it; the training of this supernet has not ended yet")
    return run
