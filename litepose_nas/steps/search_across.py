"""The second step with several supernets: one budget, one protocol on the same pictures, one front and one winner."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import devices, files
from litepose_nas.budget import Budget
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.executors.base import Executor
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.formats import subnet_file
from litepose_nas.metrics.coco import bootstrap_ap
from litepose_nas.pose.topdown import TopDown
from litepose_nas.report import across_pictures
from litepose_nas.report.across import Summary, reread_across, summarise_across
from litepose_nas.report.across_words import to_json
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from litepose_nas.search import allocation, finalists, loop
from litepose_nas.search.allocation import Asked, ExecutorView, FamilySearch, JournalView, take_turns
from litepose_nas.search.comparison import FamilyResults, compare
from litepose_nas.search.pareto import write_csv
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.workload import Workload
from litepose_nas.steps import search
from litepose_nas.steps.common import boxes_for, read_data
from litepose_nas.steps.search import DetectionsFile, SearchConfig, SearchContext, WorkerSpec
from litepose_nas.steps.train_supernet import WEIGHTS
from litepose_nas.weights import supernet_space

RESAMPLES = 200
SUMMARY = "families.json"


class People(NamedTuple):
    """How many people a picture has, and how that is known, in words."""

    number: Fraction
    told: str


class Several(NamedTuple):
    """What a search across families needs: each of them ready to be searched, and what a picture is."""

    parts: dict[str, SearchContext]  # with the budget of one run of a network
    budget: Budget  # of a picture
    picture: Workload
    people: str  # where their number comes from, in words
    boxes: DetectionsFile | None

    @property
    def pictures(self) -> int:
        """How many held-out pictures everybody is judged by."""
        return len(next(iter(self.parts.values())).candidates.scorer.split.heldout)


class WorkerSpecs(NamedTuple):
    """What any worker needs to know to build the candidates of all families."""

    of: tuple[tuple[str, WorkerSpec], ...]

    def work(self) -> Callable[[Asked], dict[str, float]]:
        """Return what scores candidates in this process, on one thread."""
        torch.set_num_threads(1)
        return _answering({name: making.work() for name, making in self.of})


def check_alike(trained: Sequence[Run], data: str | None = None) -> None:
    """Refuse supernets that cannot be compared: of one space, or trained with other pictures held out.

    `data` is what the user says that all of them were trained on, where it has moved.
    """
    first = trained[0]
    for at, run in enumerate(trained):
        for other in trained[:at]:
            if run.settings["space_digest"] == other.settings["space_digest"]:
                raise UserError(
                    f"{other.folder} and {run.folder}: two supernets of one space, {run.settings['space']}; name one, "
                    "or search them one after the other"
                )
        keys = ("seed", "joints") if data else ("data", "seed", "joints")
        for key in keys:
            mine, its = run.settings[key], first.settings[key]
            if mine != its and not (key == "data" and _same_place(mine, its)):
                raise UserError(
                    f"{first.folder} and {run.folder}: trained with {key} {its} and {mine}, so the pictures that one "
                    "has not seen are others than those of the other, and their figures would not compare; train both "
                    "with the same --data and --seed"
                )


def check_evals(evals: int | None, families: int) -> None:
    """Refuse so few evaluations that a family gets none."""
    if evals is not None and evals < families:
        raise UserError(f"--evals {evals}: each of {families} families needs one at least")


def _same_place(one: str, other: str) -> bool:
    return Path(one).exists() and Path(one).resolve() == Path(other).resolve()


def names_of(trained: Sequence[Run]) -> list[str]:
    """Return a name for each family, from its space, that can be the name of a folder."""
    names: list[str] = []
    for run in trained:
        name = re.sub(r"[^\w.-]+", "-", Path(re.sub(r"\.ya?ml$", "", run.settings["space"])).name)
        same = sum(other == name or other.startswith(f"{name}-") for other in names)
        names.append(f"{name}-{same + 1}" if name in names else name)
    return names


def needs_boxes(trained: Sequence[Run]) -> bool:
    """Return whether any family's networks see one person at a time."""
    return any(supernet_space(run.folder / WEIGHTS).task.once_a_person for run in trained)


def people_in(trained: Sequence[Run], source: Source, quick: bool, boxes: DetectionsFile | None) -> People:
    """Return how many people a network that needs boxes looks at in a held-out picture, on average."""
    if not needs_boxes(trained):
        return People(Fraction(1), "it makes no difference")
    data = read_data(source, trained[0].settings["seed"], search.slice_of(quick))
    held = data.split.heldout
    found = boxes_for(held.dataset, source.name, Path(boxes.path), boxes.least_score) if boxes else None
    looked = len(TopDown(data.joints, boxes=found).shots(held, (256, 192)))
    if not looked:
        raise UserError(f"{source.name}: nobody has a box in {len(held)} held-out pictures; say how many with --people")
    whose = f"boxes of {boxes.path}" if boxes else "people"
    return People(Fraction(looked, len(held)), f"the mean: {looked} {whose} in {len(held)} held-out pictures")


def budgets_of(trained: Sequence[Run], budget: Budget, picture: Workload) -> list[Budget]:
    """Return the budget of one run of each family's networks; refuse one that a family cannot keep."""
    found = []
    for run in trained:
        space = supernet_space(run.folder / WEIGHTS)
        if space.task.clips:
            raise UserError(
                f"{run.folder}: its networks see clips, and what they take is that of a clip; search it alone"
            )
        own = picture.budget(budget, space.task)
        try:
            own.check_reachable(space, run.settings["joints"])
        except UserError as error:
            pairs = zip(own.limits, budget.limits, strict=True)
            share = "".join(f", which for each of {picture.number} people is {a}" for a, b in pairs if a != b)
            whole = ", ".join(limit.text for limit in budget.limits)
            raise UserError(f"budget {whole} a picture{share}: {error}; or leave {run.folder} out") from error
        found.append(own)
    return found


def prepare(
    trained: Sequence[Run],
    source: Source,
    budget: Budget,
    device: str,
    quick: bool,
    picture: Workload,
    people: str,
    boxes: DetectionsFile | None = None,
) -> Several:
    """Load trained supernets and the pictures that all are judged by."""
    parts = {}
    for name, run, own in zip(names_of(trained), trained, budgets_of(trained, budget, picture), strict=True):
        mine = boxes if supernet_space(run.folder / WEIGHTS).task.once_a_person else None
        parts[name] = search.prepare(run, source, own, device, quick, boxes=mine)
    ids = {
        tuple(record.image_id for record in part.candidates.scorer.split.heldout.dataset.records)
        for part in parts.values()
    }
    if len(ids) > 1:
        raise UserError(f"{source.name}: other pictures are held out for one supernet than for another")
    return Several(parts, budget, picture, people, boxes)


def seconds_each(several: Several) -> float:
    """Return about how long an evaluation takes, the mean over the families."""
    return sum(map(search.seconds_each, several.parts.values())) / len(several.parts)


def search_across(
    run: Run,
    several: Several,
    evals: int,
    seed: int,
    on_result: Callable[[str, Evaluated, int], None] | None = None,
    way: SearchConfig = SearchConfig(),  # noqa: B008
    choice: ExecutorOptions = ExecutorOptions(),  # noqa: B008
) -> Summary:
    """Search all families turn by turn, from the run's journal if it has one, and let their best meet."""
    check_evals(evals, len(several.parts))
    parts = {name: search.in_way(setting, way) for name, setting in several.parts.items()}
    several = several._replace(parts=parts)
    journal = Journal(run.journal, _header(several, evals, seed, way), _notes(several), loop.upgraded)
    work = _answering({name: search.looking(setting.candidates) for name, setting in parts.items()})
    makings = WorkerSpecs(tuple((name, setting.making) for name, setting in parts.items()))
    on_gpu = next(iter(parts.values())).candidates.scorer.device.type == "cuda"
    with devices.one_thread():
        crew = open_executor(choice, work, makings.work, on_gpu, run.log)
        with closing(crew):
            searches = [_go(several, name, crew, journal, evals, seed, on_result, way) for name in parts]
            families = []
            for name, results in zip(parts, take_turns(searches, evals), strict=True):
                problem = parts[name].problem
                best = finalists.finalists(results, problem.budget, search.finals_of(way, len(results)))
                again = finalists.score_again_on(problem, best, ExecutorView(crew, name), JournalView(journal, name))
                families.append(FamilyResults(name, problem, results, again))
        bootstrap(several, families, journal)
    return conclude(run)


def _go(
    several: Several,
    name: str,
    crew: Executor,
    journal: Journal,
    evals: int,
    seed: int,
    on_result: Callable[[str, Evaluated, int], None] | None,
    way: SearchConfig,
) -> FamilySearch:
    """Return what searches one family until so much of it is known."""
    problem = several.parts[name].problem.remembering()
    searcher = search.searcher_of(way, problem, seed, evals // len(several.parts))

    def told(one: Evaluated, _: int) -> None:
        if on_result:
            on_result(name, one, sum("n" in record for record in journal.records))

    def go(until: int) -> list[Evaluated]:
        return loop.search_on(problem, searcher, ExecutorView(crew, name), JournalView(journal, name), until, told)

    return go


def bootstrap(several: Several, families: Sequence[FamilyResults], journal: Journal) -> None:
    """Write down how far ahead the winner would be had the pictures been others, from the same draws for all."""
    comparison = compare(families, several.budget, several.picture)
    if comparison is None or len(comparison.choices) < 2:
        return
    winner, others = comparison.winner, [one for one in comparison.choices if one is not comparison.winner]
    found: dict[str, Any] = {"winner": winner.family, "arch": winner.one.arch.to_dict()}
    if any({key: record.get(key) for key in found} == found for record in journal.records if "ahead" in record):
        return
    samples = {}
    for one in comparison.choices:
        candidates = several.parts[one.family].candidates
        results = candidates.found(one.one.arch)
        samples[one.family] = bootstrap_ap(candidates.scorer.truth, results, resamples=RESAMPLES).samples
    ahead = []
    for one in others:
        lead = samples[winner.family] - samples[one.family]
        low, high = sorted(lead.tolist())[RESAMPLES // 40], sorted(lead.tolist())[-1 - RESAMPLES // 40]
        ahead.append({"family": one.family, "arch": one.one.arch.to_dict(), "low": low, "high": high})
    journal.append({**found, "ahead": ahead})


def conclude(run: Run) -> Summary:
    """Write the front as table and pictures, and the subnet.json of each family's best, of the front, of the winner."""
    found = summarise_across(reread_across(run.folder))
    across = found.across
    own = [(name, one) for name, past in across.pasts.items() for one in past.found]
    columns: dict[str, list[Any]] = {
        "family": [name for name, _ in own],
        "macs_of_a_run": [one.cost.macs for _, one in own],
    }
    # `score` is what its own family ranks by; `ap`, beside it, is what compares.
    scored = [one._replace(score=mine.score) for one, (_, mine) in zip(found.found, own, strict=True)]
    write_csv(run.folder / "front.csv", scored, columns)
    run.write("front.svg", across_pictures.plane(found))
    if found.people:
        run.write("people.svg", across_pictures.crossing(found))
    told = to_json(found)
    run.write(SUMMARY, json.dumps(told, indent=2) + "\n")
    run.write("baselines.json", json.dumps({"ranked_by": "ap", **told["baselines"]}, indent=2) + "\n")
    for number, one in enumerate(found.front):
        subnet_file.write(run.folder / "front" / f"subnet-{number}.json", found.subnet(one))
    for sent in found.comparison.choices:
        subnet_file.write(run.folder / "best" / f"{sent.family}.json", found.subnet(sent.one))
    subnet_file.write(run.folder / search.CHOSEN, found.subnet(found.comparison.winner.one))
    return found


def _answering(looks: Mapping[str, Callable[[Any], dict[str, float]]]) -> Callable[[Asked], dict[str, float]]:
    return lambda asked: looks[asked.family](asked.look)


def _header(several: Several, evals: int, seed: int, way: SearchConfig) -> dict[str, Any]:
    parts, boxes = several.parts, several.boxes
    supernets = {name: (part.problem.space, part.info["supernet"]["sha256"]) for name, part in parts.items()}
    problem = next(iter(parts.values())).problem
    more = {
        "budget": [str(limit) for limit in several.budget.limits],
        "boxes": {"sha256": files.sha256(boxes.path), "least_score": boxes.least_score} if boxes else None,
        "evals": evals,  # turns follow from it
        "seed": seed,
        **search.header_of(way, problem),
    }
    return allocation.header(supernets, several.picture, **more)


def _notes(several: Several) -> dict[str, Any]:
    boxes = several.boxes
    return {
        "budget": [limit.text for limit in several.budget.limits],
        "convention": several.budget.convention,
        "judged": {
            "pictures": several.pictures,
            "people": several.people,
            "boxes": f"the boxes of {boxes.path}, score {boxes.least_score:g} or more" if boxes else "the true boxes",
        },
        "families": {name: search.notes_of(setting) for name, setting in several.parts.items()},
    }
