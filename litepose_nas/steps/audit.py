"""Whether a supernet can be trusted: networks of its space are trained alone, and compared with what they inherit."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from litepose_nas import devices, files, weights
from litepose_nas.data.loader import batches
from litepose_nas.data.source import Source, open_source
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.network import build
from litepose_nas.pose.people import DivergedError
from litepose_nas.report import audit as report
from litepose_nas.report import run_page
from litepose_nas.report.audit import Ranking
from litepose_nas.report.refresh import PageRefresher
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from litepose_nas.search.encoding import Genome
from litepose_nas.search.pricing import Prices
from litepose_nas.search.problem import Problem
from litepose_nas.search.scoring import Protocol
from litepose_nas.space import Arch
from litepose_nas.steps.common import MOST_IN_SLICE
from litepose_nas.steps.search_plan import OpenData, SearchContext, WorkerSpec, context_of, find_supernet
from litepose_nas.steps.training import begin_or_resume, seconds_a_step, steps_of
from litepose_nas.supernet import copy_frozen
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import Length, Recipe, from_mapping
from litepose_nas.train.trainee import NetTrainee

VERB = "audit"
NETS, SEEDS = 24, 2  # with fewer networks, chance alone makes a tau of 0.2 and more
QUICK_NETS, QUICK_MINUTES, QUICK_STEPS = 6, 4.0, 10
TRAININGS = "trainings"  # where those under way keep what they need to go on
DRAWN = 4096  # networks whose costs tell where the strata are


class AuditOptions(NamedTuple):
    supernet: str | None = None  # its run; None: the newest
    nets: int | None = None
    seeds: int | None = None
    length: Length = Length()  # of each training; hours are those of all together
    data: str | None = None  # None: what the supernet was trained with
    seed: int = 0
    device: str = "auto"


class Audit(NamedTuple):
    """An audit about to begin: what inherited weights are scored with, and how networks are trained alone."""

    context: SearchContext
    recipe: Recipe
    archs: list[Arch]
    settings: dict[str, Any]  # what its run keeps
    seconds: float = 0.0  # an estimate of all, where that was made


def plan(options: AuditOptions, open_data: OpenData = open_source) -> Audit:
    """Load the supernet, choose the networks, and find out how long training them takes."""
    options.length.check()
    trained = find_supernet(options.supernet)
    source = open_data(options.data or trained.settings["data"])
    context, recipe = _opened(trained, source, options.device)
    where = context.candidates.scorer.device
    quick = where.type == "cpu" and options.nets is None and options.seeds is None and not any(options.length)
    nets = options.nets or (QUICK_NETS if quick else NETS)
    seeds = options.seeds or SEEDS
    archs = spread_over_cost(context.problem, nets, options.seed)
    step, look = _seconds(context, recipe, archs, options.seed)
    looking, as_supernet = look * (1 + seeds), int(trained.settings["steps"])
    length = Length(hours=QUICK_MINUTES / 60) if quick else options.length
    if length.hours is not None:
        steps = max(QUICK_STEPS, int((3600 * length.hours - looking) / (step * seeds)))
        steps = min(steps, as_supernet) if quick else steps
    else:
        scorer = context.candidates.scorer
        length = length if any(length) else Length(steps=as_supernet)
        steps = steps_of(length, scorer.task.items(scorer.split.train), recipe, step)
    settings = {
        "supernet": str(trained.folder), "data": source.name, "nets": nets, "seeds": seeds, "steps": steps,
        "seed": options.seed, "quick": quick,
    }  # fmt: skip
    return Audit(context, recipe, archs, settings, step * steps * seeds + looking)


def load(run: Run, device: str, open_data: OpenData = open_source) -> Audit:
    """The audit that a run was begun with."""
    past = run.settings
    context, recipe = _opened(find_supernet(past["supernet"]), open_data(past["data"]), device)
    archs = spread_over_cost(context.problem, past["nets"], past["seed"])
    return Audit(context, recipe, archs, dict(past))


def audit(run: Run, ready: Audit, tick: Callable[[int, int, str, str], None] | None = None) -> Ranking:
    """Score every network with inherited weights and train it alone, but for what the journal has; compare, write.

    `tick` hears of steps done and to do, of what is under way, and a line of each network that is done.
    """
    context, space, settings = ready.context, ready.context.problem.space, ready.settings
    header = {
        "kind": VERB, "space": space.name, "tree": json.loads(space.source), "seed": settings["seed"],
        "supernet": context.info["supernet"]["sha256"], "steps": settings["steps"], "seeds": settings["seeds"],
        "archs": [arch.to_dict() for arch in ready.archs],
    }  # fmt: skip
    journal = Journal(run.journal, header)
    known = {(record["net"], record.get("seed")) for record in journal.records}
    total = len(ready.archs) * settings["seeds"]
    for at, arch in enumerate(ready.archs):
        if (at, None) not in known:
            cost = context.problem.cost(arch)._asdict()
            journal.append({"net": at, "cost": cost, "inherited": context.candidates(arch)})
    refresh = PageRefresher(lambda every: run_page.write(run, every), run.log)
    for done, (seed, at) in enumerate(itertools.product(range(settings["seeds"]), range(len(ready.archs)))):
        if (at, seed) in known:
            continue

        def step(now: int, steps: int, done: int = done, at: int = at) -> None:
            refresh()
            if tick:
                tick(done * steps + now, total * steps, f"network {at + 1} of {len(ready.archs)}", "")

        start = time.perf_counter()
        scores = train_alone(run, ready, at, seed, step)
        journal.append({"net": at, "seed": seed, "alone": scores, "seconds": round(time.perf_counter() - start, 1)})
        shutil.rmtree(_place(run, at, seed), ignore_errors=True)  # what a training needs to go on
        if tick:
            macs = context.problem.cost(ready.archs[at]).macs
            words = f"{macs / 1e6:.1f} MMAC trained alone: AP {scores['ap']:.3f}  loss {scores['loss']:.4f}"
            tick((done + 1) * settings["steps"], total * settings["steps"], "", f"{done + 1}/{total}  {words}")
    return conclude(run, ready, journal)


def conclude(run: Run, ready: Audit, journal: Journal) -> Ranking:
    """Compare the rankings; write audit.csv, audit.json and audit.svg."""
    nets = report.of_records(journal.records, ready.archs, ready.settings["seeds"])
    found = report.rank(nets)
    shutil.rmtree(run.folder / TRAININGS, ignore_errors=True)
    with files.replacing(run.folder / "audit.csv") as temporary:
        report.write_csv(temporary, found)
    # The other truth goes along: an AP says what counts, a loss has less noise.
    both = {by: report.to_json(report.rank(nets, by)) for by in ("ap", "loss")}
    run.write("audit.json", json.dumps({"ranked_by": found.by, "against": both}, indent=2) + "\n")
    title = f"{ready.context.problem.space.name}: {len(nets)} networks, {ready.settings['steps']:,} steps alone"
    run.write("audit.svg", report.picture(found, title))
    run_page.write(run)
    return found


def spread_over_cost(problem: Problem, count: int, seed: int) -> list[Arch]:
    """Networks from the cheapest to the dearest: one drawn from each of `count` equal parts of the space."""
    genome, rng = Genome(problem.space), np.random.default_rng(seed)
    prices = Prices(problem, genome, seed)
    rows = np.unique(genome.draw(DRAWN, rng), axis=0)
    if len(rows) < count:
        raise UserError(
            f"--nets {count}: {problem.space.name} has only {len(rows)} networks to draw from; give that or fewer"
        )
    order = np.argsort(prices.low(prices.of(rows))[:, 0], kind="stable")
    return [genome.arch(rows[rng.choice(part)]) for part in np.array_split(order, count)]


def train_alone(
    run: Run, ready: Audit, at: int, seed: int, tick: Callable[[int, int], None] | None = None
) -> dict[str, float]:
    """Train a network from scratch as its supernet was, or go on; return its scores and keep its weights."""
    context, recipe = ready.context, ready.recipe
    arch, scorer, joints = ready.archs[at], context.candidates.scorer, context.candidates.supernet.joints
    drawn, steps = ready.settings["seed"] + seed, ready.settings["steps"]
    trainee = _trainee(context, recipe, arch, drawn)

    def stream(start: int) -> Any:
        images, last, make = scorer.split.train, steps * recipe.accumulate, scorer.task.train_batch
        return batches(images, arch.input, recipe.batch, drawn, recipe.augment, start, last, make_batch=make)

    inner, _ = begin_or_resume(VERB, _place(run, at, seed), lambda: ready, lambda _: ready)
    every = Every(report=max(1, steps // 20), check=steps, save=max(1, steps // 5))
    precision = devices.precision(context.info.get("amp", "auto"), scorer.device)
    try:
        with inner:
            average = fit(trainee, stream, inner, steps, every=every, precision=precision, tick=tick)
    except DivergedError:  # a finding, not a mishap: this recipe does not train this network
        return {"ap": 0.0, "loss": float("inf")}
    net = trainee.net
    if average is not None:
        trainee.store.copy_to(net, average)
    scores = scorer(net, arch.input)
    info = {**context.info, "score": {**scores, "of": "weights trained alone"}}
    weights.save(net, run.weights / f"{at:02}-{seed}.safetensors", Subnet(arch, joints, info))
    return scores


def _opened(trained: Run, source: Source, device: str) -> tuple[SearchContext, Recipe]:
    """What scores inherited weights, on the slice that the supernet never trained on, and its recipe."""
    # Not the quick ways of a search: few networks are scored, and the rest has to be what the supernet learned from.
    worker = WorkerSpec({"": str(trained.folder)}, source.name, device, Protocol(), MOST_IN_SLICE)
    context = context_of(worker, trained, source)
    context.info["amp"] = trained.settings["amp"]
    return context, from_mapping(trained.settings["recipe"])


def _trainee(context: SearchContext, recipe: Recipe, arch: Arch, seed: int) -> NetTrainee:
    scorer, joints = context.candidates.scorer, context.candidates.supernet.joints
    torch.manual_seed(seed)
    net = devices.place(copy_frozen(context.candidates.supernet, build(arch, joints)), scorer.device)
    return NetTrainee(net, recipe, arch.input, scorer.device, joints, task=scorer.task)


def _seconds(context: SearchContext, recipe: Recipe, archs: Sequence[Arch], seed: int) -> tuple[float, float]:
    """Seconds of a step of every network in all, and of an evaluation of every one, from the cheapest and dearest."""
    rest, macs = context.candidates.scorer.split.train, [context.problem.cost(arch).macs for arch in archs]
    steps, looks = [], []
    for arch in (archs[0], archs[-1]):
        steps.append(seconds_a_step(_trainee(context, recipe, arch, seed), rest, recipe, seed, 2))
        context.candidates(arch)  # reads and warps the pictures, once
        start = time.perf_counter()
        context.candidates(arch)
        looks.append(time.perf_counter() - start)
    span = max(macs[-1] - macs[0], 1)
    shares = [(each - macs[0]) / span for each in macs]
    return tuple(sum(low + share * (high - low) for share in shares) for low, high in (steps, looks))  # type: ignore[return-value]


def _place(run: Run, at: int, seed: int) -> Path:
    return run.folder / TRAININGS / f"{at:02}-{seed}"
