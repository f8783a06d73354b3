"""litepose-nas finetune --candidates."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from litepose_nas.cli import console
from litepose_nas.cli.session import open_data, running
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.executors.open_executor import ExecutorOptions
    from litepose_nas.runs.run import Run
    from litepose_nas.steps.finetune import FinetuneOptions

TARGET = Path("subnet-finetuned.safetensors")
QUICK = "quick preset for a processor; a real fine-tuning: --epochs 100 or more, on a GPU."


def compete(
    past: Run | None,
    options: FinetuneOptions,
    data: str | None,
    count: int,
    executor: ExecutorOptions,
    name: str,
    out: Path | None,
    dry_run: bool,
) -> None:
    """Train the candidates of a search and ship the best; `options.subnet` is the search's run, or the default file."""
    from litepose_nas import files
    from litepose_nas.runs.run import Run
    from litepose_nas.steps import finetune, search
    from litepose_nas.steps import successive_halving as step
    from litepose_nas.steps.common import duration, needed

    executor.check()
    if past:
        settings, source = past.settings, open_data(past.settings["data"])
    else:
        newest = options.subnet == Path("subnet.safetensors")
        searched = Run.latest(search.VERB, having=search.CHOSEN) if newest else Run.open(options.subnet)
        where = searched.folder / search.CHOSEN
        if not where.is_file():
            raise UserError(f"{searched.folder}: no {search.CHOSEN} in it; name the folder of a search that has ended")
        subnets = step.nearest_to_best(searched, count)
        if len(subnets) < 2:
            raise UserError(f"{searched.folder}: it scored one network; train that: litepose-nas extract subnet.json")
        if len(subnets) < count:
            console.out(
                f"{len(subnets)} candidates and not {count}: {searched.folder} scored no more within its budget"
            )
        options.check(subnets[0], str(where))
        source = open_data(data or needed(subnets[0], str(where))["data"])
        training = step.plan(subnets[0], source, options)
        settings = {**training.settings, "search": str(searched.folder), "candidates": len(subnets)}
        if training.quick:
            console.out(QUICK)
        rungs = step.rungs(len(subnets), settings["steps"])
        rounds = ", ".join(f"{kept} to step {until:,}" for kept, until in rungs)
        seconds = training.seconds / settings["steps"] * step.work_of(rungs) / (executor.workers or 1)
        console.out(f"{len(subnets)} networks of {searched.folder}: {rounds}: about {duration(seconds)}")
    if dry_run:
        console.out("nothing was written")
        return
    with running(finetune.VERB, past, settings, name, out) as run, console.status("fine-tuning") as say:

        def tell(text: str) -> None:
            run.log(text)
            say(text)

        found = step.compete(run, source, options.device, executor, tell)
        with files.replacing(TARGET) as temporary:
            shutil.copyfile(found.weights, temporary)
    scores = found.scores
    first = ", which the search had chosen" if found.candidate == 1 else ", not the search's choice, which is number 1"
    console.out(f"candidate {found.candidate} of {settings['candidates']} came out best{first}")
    console.out(f"on the held-out slice: loss {scores['loss']:.4f}, AP {scores['ap']:.3f}")
    console.out(f"written to {TARGET}; all candidates are in {run.folder / step.FOLDER}")
    console.out(f"next: litepose-nas evaluate {TARGET}")
