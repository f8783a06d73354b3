"""Fine-tuning the best few networks of a search for a while, the better ones for longer, and one to the end.

Successive halving: after a ninth of the steps a third goes on, after a third of them a third of those. Whom a round
keeps is decided when all of it is in, so executors, workers and kills change nothing. Ray Tune's ASHA promotes whatever
ends first, and brings pandas and pyarrow.
"""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import devices, files, weights
from litepose_nas.budget import Budget, is_time, measured_field, time_limits
from litepose_nas.data.source import Source, open_source
from litepose_nas.errors import UserError
from litepose_nas.executors.base import Executor, Say, run_all
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.formats import subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.pose.people import DivergedError
from litepose_nas.report import run_page
from litepose_nas.report.refresh import PageRefresher
from litepose_nas.resolve import subnet_of
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from litepose_nas.search.ranking import FAILED
from litepose_nas.search.workload import workload_of
from litepose_nas.steps import extract, finetune, search
from litepose_nas.steps.finetune import FinetuneOptions, Finetuning
from litepose_nas.steps.training import begin_or_resume, rank

ETA = 3  # a third goes on, three times as long
JOURNAL = "candidates.jsonl"
FOLDER = "candidates"
OWN = ("subnet", "sha256")  # settings that each candidate has for itself
COMMON = ("search", "candidates")  # settings of the competition alone


class Stretch(NamedTuple):
    """What a worker is asked: to train one candidate up to a step."""

    candidate: int  # from 1 up
    until: int


class Trials(NamedTuple):
    """What any worker needs to know to train candidates: a few words, and files it can read."""

    folder: str
    device: str
    settings: Mapping[str, Any]

    def work(self) -> Callable[[Stretch], dict[str, Any]]:
        """What trains candidates in this process, on one thread."""
        torch.set_num_threads(1)
        return self.training(open_source(self.settings["data"]))

    def training(self, source: Source) -> Callable[[Stretch], dict[str, Any]]:
        return lambda stretch: _train(self, source, stretch)


class Shipped(NamedTuple):
    """The candidate that was trained to the end."""

    candidate: int
    weights: Path
    scores: dict[str, Any]


def nearest_to_best(searched: Run, count: int) -> list[Subnet]:
    """The network that a search chose, and those within the budget whose scores come next.

    They need not be on the front: noise may have kept them off it, and training may tell what noise did not.
    """
    chosen = subnet_file.read(searched.folder / search.CHOSEN)
    profiles = [Path(path).stem for path in searched.settings.get("latency", ())]
    whole = Budget.of(searched.settings["budget"], searched.settings["convention"], times=time_limits(profiles))
    times = [limit for limit in whole.limits if is_time(limit.field)]
    others = whole._replace(limits=tuple([limit for limit in whole.limits if limit not in times]))
    budget = workload_of(searched.settings).budget(others, chosen.arch.space.task)
    with (searched.folder / "front.csv").open(encoding="utf-8", newline="") as file:
        # Searches of the past could score some networks on a part of the images only.
        rows = [row for row in csv.DictReader(file) if float(row.get("share") or 1) == 1]
    rows = [row for row in rows if row.get("family") == chosen.info.get("family")]  # others have supernets of their own
    # A time that was measured decides in place of its prediction's upper bound.
    rows = [row for row in rows if all(_ms(row, limit.field) <= limit.most for limit in times)]
    rows.sort(key=lambda row: (-float(row["score"]), int(row["macs"])))
    info = {key: value for key, value in chosen.info.items() if key not in ("score", "picture")}
    found = [chosen]
    for row in rows:
        if len(found) == count or float(row["score"]) == FAILED:
            break
        one = Subnet(chosen.arch.space.arch(json.loads(row["arch"])), chosen.joints, info)
        if one.arch != chosen.arch and budget.ok(one.cost):
            found.append(one)
    return found


def _ms(row: Mapping[str, str], bound: str) -> float:
    return float(row.get(measured_field(bound)) or row[bound])


def rungs(count: int, steps: int) -> list[tuple[int, int]]:
    """How many candidates are trained up to which step: fewer and fewer, one to the end."""
    levels = 0
    while ETA**levels < count:
        levels += 1
    return [(math.ceil(count / ETA**level), math.ceil(steps / ETA ** (levels - level))) for level in range(levels + 1)]


def work_of(found: Sequence[tuple[int, int]]) -> int:
    """How many steps rungs come to, all candidates together."""
    return sum(
        kept * (until - before) for (kept, until), before in zip(found, [0, *(u for _, u in found)], strict=False)
    )


def plan(first: Subnet, source: Source, options: FinetuneOptions) -> Finetuning:
    """What the training of the first candidate would be; that of the others is as long in steps."""
    with tempfile.TemporaryDirectory() as folder, devices.one_thread():
        path = Path(folder) / "subnet.json"
        subnet_file.write(path, first)
        found = extract.extract_subnet(path, source, options.device)
        weights.save(found.net, path.with_suffix(".safetensors"), found.subnet)
        made = finetune.plan(options._replace(subnet=path.with_suffix(".safetensors")), source)
    return made._replace(settings={key: value for key, value in made.settings.items() if key not in OWN})


def begin(run: Run) -> None:
    """Write the candidates into the run's folder, the first one the search's choice; those there stay."""
    count = int(run.settings["candidates"])
    places = [_place(run.folder, number) / "subnet.json" for number in range(1, count + 1)]
    if not all(path.is_file() for path in places):
        for path, subnet in zip(places, nearest_to_best(Run.open(run.settings["search"]), count), strict=True):
            subnet_file.write(path, subnet)


def compete(run: Run, source: Source, device: str, choice: ExecutorOptions, say: Say) -> Shipped:
    """Train the candidates of a run, from its journal if it has one, and return the one that came out best."""
    begin(run)
    settings = run.settings
    count, steps = int(settings["candidates"]), int(settings["steps"])
    shas = [files.sha256(_place(run.folder, number) / "subnet.json") for number in range(1, count + 1)]
    journal = Journal(run.folder / JOURNAL, {"kind": "candidates", "subnets": shas, "steps": steps, "eta": ETA})
    trials = Trials(str(run.folder), device, settings)
    known = {Stretch(one["candidate"], one["until"]): one["scores"] for one in journal.records}
    going_on = list(range(1, count + 1))
    refresh = PageRefresher(lambda every: run_page.write(run, every), run.log)
    with devices.one_thread():
        on_gpu = devices.pick(device).type == "cuda"
        executor = open_executor(choice, trials.training(source), trials.work, on_gpu, run.log)
        with closing(executor):
            for kept, until in rungs(count, steps):
                going_on = going_on[:kept]
                wanted = [Stretch(number, until) for number in going_on]
                _do(executor, [one for one in wanted if one not in known], known, journal, say, refresh)
                scores = {one.candidate: known[one] for one in wanted}
                going_on = sorted(going_on, key=lambda number: _worth(scores[number]), reverse=True)
                if "diverged" in scores[going_on[0]]:
                    raise UserError(
                        f"{run.folder}: every candidate has diverged; train with a lower rate, such as lr=0.001"
                    )
    run_page.write(run)
    best = going_on[0]
    path = _place(run.folder, best) / "finetune" / "weights" / f"{settings['take']}.safetensors"
    return Shipped(best, path, subnet_of(path).info["score"])


def _do(
    executor: Executor,
    jobs: list[Stretch],
    known: dict[Stretch, Any],
    journal: Journal,
    say: Say,
    refresh: PageRefresher,
) -> None:
    for done in run_all(executor, jobs):
        stretch: Stretch = done.job
        record = journal.append({**stretch._asdict(), "scores": done.result, "seconds": round(done.seconds, 2)})
        known[stretch] = scores = record["scores"]
        found = "diverged" if "diverged" in scores else f"AP {scores['ap']:.3f}, loss {scores['loss']:.4f}"
        say(f"candidate {stretch.candidate} at step {stretch.until}: {found}")
        refresh()


def _worth(scores: Mapping[str, Any]) -> tuple[float, float]:
    return (-math.inf, -math.inf) if "diverged" in scores else rank(scores)


def _train(trials: Trials, source: Source, stretch: Stretch) -> dict[str, Any]:
    """Train a candidate up to a step, from where it stands; return its scores there."""
    settings, place = trials.settings, _place(trials.folder, stretch.candidate)
    plain = place / "subnet.safetensors"
    if not plain.is_file():
        found = extract.extract_subnet(place / "subnet.json", source, trials.device)
        weights.save(found.net, plain, found.subnet)

    def begun() -> Finetuning:
        own = {"subnet": str(plain), "sha256": files.sha256(plain)}
        shared = {key: value for key, value in settings.items() if key not in COMMON}
        return finetune.from_settings({**own, **shared}, source, trials.device)

    run, training = begin_or_resume(
        finetune.VERB, place / "finetune", begun, lambda run: finetune.load(run, source, trials.device)
    )
    with run:
        try:
            finetune.finetune(run, training, until=stretch.until)
        except DivergedError as error:
            return {"diverged": str(error)}
        scores = subnet_of(run.weights / f"{finetune.LAST}.safetensors").info["score"]
    return {"ap": scores["ap"], "loss": scores["loss"]}


def _place(folder: str | Path, number: int) -> Path:
    return Path(folder) / FOLDER / str(number)
