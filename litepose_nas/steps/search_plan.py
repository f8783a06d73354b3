"""What a search is asked for, and what it needs to begin or to go on: supernets, images, a budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import costs, devices, files, weights
from litepose_nas.budget import Budget, Limit, is_time, latency_fields, time_limits
from litepose_nas.costs import Cost, TimesNetworks
from litepose_nas.data.dataset import subjects
from litepose_nas.data.source import Source, open_source
from litepose_nas.errors import UserError, nearest
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.profile import LatencyClock
from litepose_nas.latency.profiles import NamedProfile, clocks, open_profiles
from litepose_nas.pose.topdown import TopDown
from litepose_nas.runs import metrics
from litepose_nas.runs.run import Run
from litepose_nas.search.journal import RETIRED, family_name
from litepose_nas.search.loop import ScoringJob
from litepose_nas.search.methods import METHODS
from litepose_nas.search.problem import Problem
from litepose_nas.search.ranking import AUTO, RANKS, default_rank
from litepose_nas.search.scoring import Protocol, Scorer, SupernetScorer
from litepose_nas.search.workload import ONE_PERSON, Workload, workload_of
from litepose_nas.space import Arch, Space
from litepose_nas.steps.common import MOST_IN_SLICE, Say, boxes_for, check_joints, describe, read_data, task_of
from litepose_nas.steps.train_supernet import VERB as TRAIN
from litepose_nas.steps.train_supernet import WEIGHTS
from litepose_nas.targets import op_set_file
from litepose_nas.targets.op_set import OpCounter, OpSet
from litepose_nas.targets.reachable import Reachable, in_words, reachable
from litepose_nas.train.recipe import from_mapping

QUICK_MINUTES = 4.0
EVALS = 200
QUICK_EVALS = (14, 200)
QUICK_PROTOCOL, QUICK_SLICE = Protocol(calibration=16, batch=8), 32
PROFILES, OPS = "latency", "ops"  # folders of a run: the profiles and the op set that it goes by

OpenData = Callable[[str], Source]


class DetectionsFile(NamedTuple):
    """Boxes of people, from a detector."""

    path: str
    least_score: float = 0.0


class SearchOptions(NamedTuple):
    """What is asked of a search."""

    supernets: Sequence[str] = ()  # runs; none: the newest
    budget: Sequence[str] = ()
    convention: str = "exact"
    evals: int | None = None
    method: str = METHODS[0]
    rank: str | None = None  # a key of RANKS; None: what suits the tasks
    objectives: Sequence[str] = ()  # fields of Cost to keep low; none named: the MACs
    finalists: int | None = None  # how many of the best are scored again; None: a few
    people: float | None = None  # in an image; None: the mean of the held-out ones
    detector_macs: str | None = None
    boxes: str | None = None
    min_box_score: float | None = None
    data: str | None = None  # None: what the supernet was trained with
    seed: int = 0
    device: str = "auto"
    protocol: Protocol | None = None
    most_in_slice: int | None = None
    latency: Sequence[str] = ()  # files of latency profiles
    detector_ms: float | None = None
    measure: bool | None = None  # the finalists, where a profile's device and runtime are at hand; None: yes
    measure_minutes: float | None = None
    ops: str | None = None  # an op set: a name or a file

    def check(self) -> None:
        """Raise a UserError where a name is unknown or no budget is given."""
        if not self.budget:
            raise UserError(
                "--budget is missing: such as --budget 1.2GMAC; `litepose-nas space show NAME` says the range"
            )
        for option, value, known in (("method", self.method, METHODS), ("rank", self.rank or AUTO, RANKS)):
            if value not in known:
                raise UserError(f"--{option} {value!r}: {nearest(value, known)}")
        if not self.latency and (self.measure is not None or self.measure_minutes is not None):
            raise UserError("--measure, --no-measure and --measure-minutes: are for --latency; give a profile with it")
        times = [field for pair in latency_fields(Path(path).stem for path in self.latency).values() for field in pair]
        for field in self.objectives:
            if is_time(field) and not self.latency:
                raise UserError(
                    f"--objective {field}: of which device? give its profile with --latency; make one with: "
                    f"{profile_file.MAKE.format(space='SPACE', runtime='onnxruntime')}"
                )
            if field not in (*Cost._fields, *times):
                raise UserError(f"--objective {field!r}: {nearest(field, (*Cost._fields, *times))}")

    def check_workload(self, families: int, needs_boxes: bool) -> None:
        """Refuse options about the people of an image that would be ignored."""
        values = {
            "--people": self.people, "--detector-macs": self.detector_macs,
            "--boxes": self.boxes, "--min-box-score": self.min_box_score, "--detector-ms": self.detector_ms,
        }  # fmt: skip
        for option in (option for option, value in values.items() if value is not None):
            if families == 1:
                raise UserError(
                    f"{option}: for a search across families, which takes two supernets or more; name their runs, or "
                    f"leave {option} out: a budget of one supernet is of one run of its networks"
                )
            if not needs_boxes:
                raise UserError(f"{option}: all of these networks see whole pictures, whoever is in them; leave it out")
        if self.min_box_score is not None and not self.boxes:
            raise UserError("--min-box-score: of which boxes? name their file with --boxes")


class WorkerSpec(NamedTuple):
    """What a worker needs to score networks on its own: small, and files that it can read."""

    supernets: Mapping[str, str]  # the folder of each family's run
    data: str
    device: str
    protocol: Protocol
    most_in_slice: int
    boxes: DetectionsFile | None = None  # for networks that see one person at a time; None: the true boxes

    def work(self) -> Callable[[ScoringJob], dict[str, float]]:
        """Return what does jobs in this process, on one thread."""
        torch.set_num_threads(1)
        source = open_source(self.data)
        return work_of({name: self.scorer(folder, source) for name, folder in self.supernets.items()})

    def scorer(self, folder: str, source: Source) -> SupernetScorer:
        """Load a supernet and its held-out images."""
        kept, path = Run.open(folder).settings, Path(folder) / WEIGHTS
        where = devices.pick(self.device)
        supernet = weights.load_supernet(path, device=where, memory_format=devices.layout(where))
        recipe = from_mapping(kept["recipe"])
        space = supernet.space
        data = read_data(source, kept["seed"], self.most_in_slice, task=space.task)
        check_joints(data, source, supernet.joints, path)
        task = task_of(space.widest, data, recipe)
        seeing = None
        if self.boxes and space.task.once_a_person:
            file, least = self.boxes
            seeing = task.with_boxes(boxes_for(data.split.heldout.dataset, source.name, Path(file), least))
        return SupernetScorer(supernet, Scorer(data.split, task, recipe, where, self.protocol, seeing))


class SearchContext(NamedTuple):
    """One supernet ready to be searched, and where it was trained."""

    candidates: SupernetScorer
    problem: Problem  # with the budget of one run of a network
    info: dict[str, Any]  # goes into a subnet.json
    part: Problem | None = None  # the same in what an op set leaves of the space


class Search(NamedTuple):
    """A search ready to begin, or to go on."""

    options: SearchOptions  # with runs, data and evaluations filled in
    families: Mapping[str, SearchContext]
    worker: WorkerSpec
    budget: Budget  # of an image; of one run of a network where one supernet is searched
    workload: Workload
    people: str  # where their number comes from, in words
    quick: bool
    profiles: Mapping[str, NamedProfile] = {}  # by the names that a budget has for them
    ops: OpSet | None = None

    @property
    def several(self) -> bool:
        return len(self.families) > 1

    @property
    def needs_boxes(self) -> bool:
        """Whether any of several families sees one person at a time."""
        return self.several and any(one.problem.space.task.once_a_person for one in self.families.values())

    @property
    def images(self) -> int:
        """How many held-out images networks are scored on."""
        return len(next(iter(self.families.values())).candidates.scorer.split.heldout)

    @property
    def settings(self) -> dict[str, Any]:
        """What a run keeps of it; `load` reads it."""
        asked, latency = self.options, [str(Path(one.where).resolve()) for one in self.profiles.values()]
        return {
            "budget": list(asked.budget), "convention": asked.convention, "seed": asked.seed, "method": asked.method,
            "objectives": list(asked.objectives), "rank": asked.rank, "supernets": list(asked.supernets),
            "data": asked.data, "evals": asked.evals, "quick": self.quick, **self.workload.plain(),
            "people_are": self.people, "boxes": list(self.worker.boxes) if self.worker.boxes else None,
            **({"latency": latency} if latency else {}),
            **({"measure": asked.measure, "measure_minutes": asked.measure_minutes} if latency else {}),
            **({"ops": asked.ops} if asked.ops else {}),
        }  # fmt: skip


def plan(options: SearchOptions, open_data: OpenData = open_source, say: Say = print) -> Search:
    """Load supernets and the images that all are scored on; what is impossible ends before they are read."""
    options.check()
    trained = [find_supernet(name) for name in options.supernets] or [Run.latest(TRAIN, having=WEIGHTS)]
    needs_boxes = len(trained) > 1 and any(_space(run).task.once_a_person for run in trained)
    if len(trained) > 1:
        check_alike(trained, options.data)
        if options.evals is not None and options.evals < len(trained):
            raise UserError(f"--evals {options.evals}: each of {len(trained)} families needs one at least")
    options.check_workload(len(trained), needs_boxes)
    data = options.data or trained[0].settings["data"]
    quick = options.evals is None and devices.pick(options.device).type == "cpu"
    boxes = DetectionsFile(options.boxes, options.min_box_score or 0.0) if options.boxes else None
    if not needs_boxes:
        workload, people = ONE_PERSON, "it makes no difference"
    elif options.people:
        workload, people = _workload(Fraction(str(options.people)), options), "as asked for"
    else:
        number, people = people_in(trained[0], open_data(data), options.most_in_slice or slice_of(quick), boxes)
        workload = _workload(number, options)
    rank = options.rank or default_rank(_space(run).task for run in trained)
    asked = options._replace(supernets=[str(run.folder) for run in trained], data=data, rank=rank)
    return _open(asked, workload, people, boxes, quick, open_data, say)


def load(run: Run, device: str, open_data: OpenData = open_source, say: Say = print) -> Search:
    """The search that a run was begun with."""
    kept = run.settings
    for key, value in RETIRED.items():
        if kept.get(key, value) != value:
            commit = f", commit {run.env['commit']}" if run.env.get("commit") else ""
            raise UserError(
                f"{run.folder}: begun with --{key.replace('_', '-')}, which is gone; resume it with the version that "
                f"began it ({run.env.get('litepose_nas')}{commit}), or search again"
            )
    supernets = kept.get("supernets") or [kept["supernet"]]  # until 0.1.0 one supernet was kept by itself
    fields = (
        "budget", "convention", "evals", "method", "rank", "objectives", "data", "seed", "measure", "measure_minutes",
    )  # fmt: skip
    # The run has copies of the profiles that it was begun with, once it has begun to evaluate.
    copies = [(run.folder / PROFILES / Path(path).name, path) for path in kept.get("latency", ())]
    latency = [str(copy if copy.exists() else path) for copy, path in copies]
    asked = {key: kept[key] for key in fields if key in kept}
    ops = kept.get("ops")
    copy = run.folder / OPS / Path(ops or "").name
    ops = str(copy) if ops and copy.is_file() else ops
    options = SearchOptions(supernets, **asked, device=device, latency=latency, ops=ops)
    boxes = DetectionsFile(*kept["boxes"]) if kept.get("boxes") else None
    people = kept.get("people_are", "it makes no difference")
    try:
        workload = workload_of(kept)
    except ValueError as error:
        raise UserError(f"{run.folder}/config.yaml: {error}; start a new run") from error
    return _open(options, workload, people, boxes, kept.get("quick", False), open_data, say)


def _open(
    options: SearchOptions,
    workload: Workload,
    people: str,
    boxes: DetectionsFile | None,
    quick: bool,
    open_data: OpenData,
    say: Say,
) -> Search:
    options.check()
    profiles = open_profiles(options.latency)
    budget = Budget.of(options.budget, options.convention, times=time_limits(profiles))
    trained = [find_supernet(name) for name in options.supernets]
    names = names_of([_space(run) for run in trained])
    timing = [clocks(profiles, _space(run), budget) for run in trained]
    op_set = op_set_file.load(options.ops) if options.ops else None
    left = [_left(run, op_set, len(trained) > 1, say) if op_set else None for run in trained]
    feasible = check_reachable(trained, budget, workload, timing, left, op_set)
    for run in trained:
        rows, planned = metrics.read(run.folder / "metrics.jsonl"), int(run.settings["steps"])
        if (done := rows[-1]["step"] if rows else 0) < planned:
            say(f"the training of {run.folder} has not ended: it stands at step {done} of {planned}")
    source = open_data(str(options.data))
    worker = WorkerSpec(
        {name: str(run.folder) for name, run in zip(names, trained, strict=True)},
        source.name,
        str(devices.pick(options.device)),
        options.protocol or (QUICK_PROTOCOL if quick else Protocol()),
        options.most_in_slice or slice_of(quick),
        boxes,
    )
    families = {}
    for name, run, arch, timed, part in zip(names, trained, feasible, timing, left, strict=True):
        one = context_of(worker, run, source, timed)
        problem = one.problem._replace(
            budget=workload.budget(budget, one.problem.space.task),
            objectives=tuple(options.objectives) or _objectives(budget),
            scores=RANKS[options.rank or AUTO],
            feasible=part.of_whole(arch) if part else arch,
        )
        families[name] = one._replace(problem=problem)
        if part and op_set:
            counted: list[TimesNetworks] = [*timed, OpCounter(op_set, one.candidates.supernet.joints)]
            many = costs.columns(part.space, one.candidates.supernet.joints, counted)
            searched = problem._replace(space=part.space, many=many, feasible=arch, broken=op_set.broken)
            families[name] = families[name]._replace(part=searched)
    heldout = [one.candidates.scorer.split.heldout.dataset.records for one in families.values()]
    if len({tuple(record.image_id for record in records) for records in heldout}) > 1:
        raise UserError(f"{source.name}: other pictures are held out for one supernet than for another")
    ops = str(op_set_file.find(options.ops).resolve()) if options.ops else None
    options = options._replace(data=source.name, ops=ops)
    return Search(options, families, worker, budget, workload, people, quick, profiles, op_set)


def _left(trained: Run, op_set: OpSet, several: bool, say: Say) -> Reachable:
    """What an op set leaves of the space of a supernet; refuse one of which nothing is left."""
    try:
        found = reachable(_space(trained), op_set)
    except UserError as error:
        raise UserError(f"{error}{f'; or leave {trained.folder} out' if several else ''}") from error
    say(in_words(found, op_set, trained.settings["joints"]))
    return found


def _objectives(budget: Budget) -> tuple[str, ...]:
    """What is kept low where nobody said it: the time where a time is limited and MACs are not; none: the MACs."""
    times = [limit.field.replace("_bound", "", 1) for limit in budget.limits if is_time(limit.field)]
    return () if any(limit.field.startswith("macs") for limit in budget.limits) else tuple(times[:1])


def context_of(worker: WorkerSpec, trained: Run, source: Source, timed: Sequence[LatencyClock] = ()) -> SearchContext:
    """Load one supernet, to be searched without a budget."""
    path, candidates = trained.folder / WEIGHTS, worker.scorer(str(trained.folder), source)
    space, joints, scorer = candidates.supernet.space, candidates.supernet.joints, candidates.scorer
    many, pictures = costs.columns(space, joints, timed), scorer.split.heldout.dataset
    problem = Problem(space, Budget(), costs.timed_by(timed, joints), RANKS["auto"], many)
    info = {
        "supernet": {"path": str(path), "sha256": files.sha256(path)},
        "data": source.name,
        "seed": trained.settings["seed"],
        "recipe": trained.settings["recipe"],
        **describe(pictures.skeleton, scorer.task, pictures.category),
    }
    return SearchContext(candidates, problem, info)


def check_alike(trained: Sequence[Run], data: str | None = None) -> None:
    """Refuse supernets that cannot be compared: of one space, or trained with other images held out.

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
        for key in ("seed", "joints") if data else ("data", "seed", "joints"):
            mine, its = run.settings[key], first.settings[key]
            if mine != its and not (key == "data" and _same_place(mine, its)):
                raise UserError(
                    f"{first.folder} and {run.folder}: trained with {key} {its} and {mine}, so the pictures that one "
                    "has not seen are others than those of the other, and their figures would not compare; train both "
                    "with the same --data and --seed"
                )


def check_reachable(
    trained: Sequence[Run],
    budget: Budget,
    workload: Workload,
    timing: Sequence[Sequence[LatencyClock]] = (),
    parts: Sequence[Reachable | None] = (),
    op_set: OpSet | None = None,
) -> list[Arch]:
    """A network of each supernet within the budget of an image; refuse one that a supernet cannot keep.

    Where an op set leaves parts of their spaces, it is one of the part.
    """
    found = []
    none = [None] * len(trained)
    for run, timed, part in zip(trained, timing or [()] * len(trained), parts or none, strict=True):
        space, joints = part.space if part else _space(run), run.settings["joints"]
        if len(trained) > 1 and space.task.clips:
            raise UserError(
                f"{run.folder}: its networks see clips, and what they take is that of a clip; search it alone"
            )
        own = workload.budget(budget, space.task)
        try:
            price = costs.timed_by(timed, joints)
            found.append(own.check_reachable(space, joints, price, op_set.broken if op_set else None))
        except UserError as error:
            inside = f"; in what op set {op_set.name} leaves" if op_set else ""
            if len(trained) == 1:
                raise UserError(f"{error}{inside}") from error
            pairs = zip(own.limits, budget.limits, strict=True)
            share = "".join(f", which for each of {workload.number} people is {a}" for a, b in pairs if a != b)
            whole = ", ".join(limit.text for limit in budget.limits)
            raise UserError(f"budget {whole} a picture{share}: {error}{inside}; or leave {run.folder} out") from error
    return found


def names_of(spaces: Sequence[Space]) -> list[str]:
    """A name for each family, from its space."""
    names: list[str] = []
    for name in (family_name(space.name) for space in spaces):
        same = sum(other == name or other.startswith(f"{name}-") for other in names)
        names.append(f"{name}-{same + 1}" if name in names else name)
    return names


def people_in(trained: Run, source: Source, most: int, boxes: DetectionsFile | None) -> tuple[Fraction, str]:
    """How many people a network that needs boxes sees in a held-out image, on average; and how that is known."""
    data = read_data(source, trained.settings["seed"], most)
    heldout = data.split.heldout
    found = boxes_for(heldout.dataset, source.name, Path(boxes.path), boxes.least_score) if boxes else None
    looked = len(TopDown(data.joints, boxes=found).shots(heldout, (256, 192)))
    count = len(heldout)
    if not looked:
        raise UserError(f"{source.name}: nobody has a box in {count} held-out pictures; say how many with --people")
    whose = f"boxes of {boxes.path}" if boxes else subjects(heldout.dataset.category)
    return Fraction(looked, count), f"the mean: {looked} {whose} in {count} held-out pictures"


def slice_of(quick: bool) -> int:
    """How many held-out images networks are scored on at most."""
    return QUICK_SLICE if quick else MOST_IN_SLICE


def sized(ready: Search) -> tuple[Search, float]:
    """The search with its number of evaluations, and about how many seconds each takes."""
    each = sum(map(_seconds, ready.families.values())) / len(ready.families)
    fitting = int(min(max(60 * QUICK_MINUTES / each, QUICK_EVALS[0]), QUICK_EVALS[1]))
    evals = ready.options.evals or (fitting if ready.quick else EVALS)
    return ready._replace(options=ready.options._replace(evals=evals)), each


def _seconds(family: SearchContext) -> float:
    """About how long the evaluation of a network takes, from one of the cheapest."""
    assert family.problem.feasible
    with devices.one_thread():
        family.candidates(family.problem.feasible)  # reads and warps the images, once
        start = time.perf_counter()
        family.candidates(family.problem.feasible)
    # Others are up to several times dearer than the cheapest; three is what the middle of a front came to.
    return 3 * (time.perf_counter() - start)


def work_of(scorers: Mapping[str, SupernetScorer]) -> Callable[[ScoringJob], dict[str, float]]:
    """Return what does the jobs of a search."""

    def work(job: ScoringJob) -> dict[str, float]:
        scorer = scorers[job.family]
        return scorer(scorer.supernet.space.arch(job.arch), job.again)

    return work


def find_supernet(named: str | None) -> Run:
    """Open the run of a supernet: the one named, or the newest."""
    if named is None:
        return Run.latest(TRAIN, having=WEIGHTS)
    folder = Path(named)
    if folder.name.endswith(".safetensors"):
        folder = folder.parent.parent
        if Path(named) != folder / WEIGHTS:
            raise UserError(f"{named}: not the {WEIGHTS} of a run; name the run's folder")
    run = Run.open(folder)
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder}: no {WEIGHTS} in it; the training of this supernet has not ended yet")
    return run


def _space(trained: Run) -> Space:
    return weights.supernet_space(trained.folder / WEIGHTS)


def _same_place(one: str, other: str) -> bool:
    return Path(one).exists() and Path(one).resolve() == Path(other).resolve()


def _workload(people: Fraction, options: SearchOptions) -> Workload:
    return Workload(people, _macs(options.detector_macs), options.detector_ms or 0.0)


def _macs(text: str | None) -> int:
    """How many MACs a text such as 2GMAC stands for."""
    if text is None:
        return 0
    limit = Limit.of(text)
    if limit.field != "macs":
        raise UserError(f"--detector-macs {text!r}: expected MACs, such as 2GMAC")
    return int(limit.most)
