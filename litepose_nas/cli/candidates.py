"""litepose-nas finetune --candidates."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.cli import console
from litepose_nas.cli.session import open_data, resume_hint
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.runs.run import Run
    from litepose_nas.train.recipe import Length

TARGET = Path("subnet-finetuned.safetensors")


class Wish(NamedTuple):
    """What was typed."""

    subnet: Path  # the run of a search, or the default of one network: then the newest search is meant
    changes: list[str]
    data: str | None
    length: Length
    teacher: bool
    last: bool
    seed: int
    device: str
    amp: str


def begin(
    wish: Wish, count: int, engine: str | None, workers: int | None, name: str, out: Path | None, dry_run: bool
) -> None:
    """Start the competition of the networks of a search."""
    from litepose_nas.executors.open_executor import EXECUTORS, ExecutorOptions
    from litepose_nas.runs.run import Run
    from litepose_nas.steps import finetune, search
    from litepose_nas.steps import successive_halving as step
    from litepose_nas.steps.common import duration, needed
    from litepose_nas.train.recipe import changed

    ExecutorOptions(engine or EXECUTORS[0], workers).check()
    newest = wish.subnet == Path("subnet.safetensors")
    searched = Run.latest(search.VERB, having=search.CHOSEN) if newest else Run.open(wish.subnet)
    if not (searched.folder / search.CHOSEN).is_file():
        raise UserError(f"{searched.folder}: no {search.CHOSEN} in it; name the folder of a search that has ended")
    subnets = step.nearest_to_best(searched, count)
    if len(subnets) < 2:
        raise UserError(f"{searched.folder}: it scored one network; train that: litepose-nas extract subnet.json")
    if len(subnets) < count:
        console.out(f"{len(subnets)} candidates and not {count}: {searched.folder} scored no more within its budget")
    chosen, where = subnets[0], str(searched.folder / search.CHOSEN)
    recipe = finetune.recipe_of(chosen, where, lambda recipe: changed(recipe, wish.changes, chosen.arch.space.task))
    source = open_data(wish.data or needed(chosen, where)["data"])
    take = finetune.LAST if wish.last else finetune.BEST
    plan = step.plan(chosen, source, recipe, wish.length, wish.device, wish.amp, wish.seed, wish.teacher, take)
    if plan.quick:
        console.out("quick preset for a processor; a real fine-tuning: --epochs 100 or more, on a GPU.")
    found = step.rungs(len(subnets), plan.steps)
    rounds = ", ".join(f"{kept} to step {until:,}" for kept, until in found)
    seconds = plan.seconds / plan.steps * step.work_of(found) / (workers or 1)
    console.out(f"{len(subnets)} networks of {searched.folder}: {rounds}: about {duration(seconds)}")
    if dry_run:
        console.out("nothing was written")
        return
    settings = {**plan.settings, "search": str(searched.folder), "candidates": len(subnets)}
    run = Run.create(finetune.VERB, name, settings=settings, out=out)
    run.close()
    go_on(run, wish.device, engine, workers)


def go_on(run: Run, device: str, engine: str | None, workers: int | None) -> None:
    """Train the candidates of a run, from where they stand, and ship the best."""
    from litepose_nas import files
    from litepose_nas.executors.open_executor import EXECUTORS, ExecutorOptions
    from litepose_nas.runs.run import Run
    from litepose_nas.steps import finetune
    from litepose_nas.steps import successive_halving as step

    choice = ExecutorOptions(engine or EXECUTORS[0], workers)
    choice.check()
    source = open_data(run.settings["data"])
    with Run.resume(run.folder) as run, resume_hint(run, finetune.VERB), console.status("fine-tuning") as say:

        def tell(text: str) -> None:
            run.log(text)
            say(text)

        found = step.compete(run, source, device, choice, tell)
        with files.replacing(TARGET) as temporary:
            shutil.copyfile(found.weights, temporary)
        run.end()
    count, scores = run.settings["candidates"], found.scores
    first = ", which the search had chosen" if found.candidate == 1 else ", not the search's choice, which is number 1"
    console.out(f"candidate {found.candidate} of {count} came out best{first}")
    console.out(f"on the held-out slice: loss {scores['loss']:.4f}, AP {scores['ap']:.3f}")
    console.out(f"written to {TARGET}; all candidates are in {run.folder / step.FOLDER}")
    console.out(f"next: litepose-nas evaluate {TARGET}")
