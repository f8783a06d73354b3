"""litepose-nas finetune: of one network, or of the candidates of a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas.cli import console, options
from litepose_nas.cli.session import nothing_written, open_data, resumed, running, training_reporter
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.executors.open_executor import ExecutorOptions
    from litepose_nas.runs.run import Run
    from litepose_nas.steps.finetune import FinetuneOptions

TARGET = Path("subnet-finetuned.safetensors")
QUICK = "quick preset for a processor; a real fine-tuning: --epochs 100 or more, on a GPU."


def finetune(
    context: typer.Context,
    subnet: Annotated[Path, typer.Argument(help="Weights that `extract` wrote.")] = Path("subnet.safetensors"),
    settings: options.Settings = None,
    data: options.Data = None,
    steps: options.Steps = None,
    epochs: options.Epochs = None,
    hours: options.Hours = None,
    teacher: Annotated[
        bool,
        typer.Option(
            "--teacher", help="Learn from the supernet's widest net too, a clip's later frames from its key network."
        ),
    ] = False,
    last: Annotated[
        bool, typer.Option("--last", help="Take the last weights, not those that did best on held-out pictures.")
    ] = False,
    candidates: Annotated[
        int | None,
        typer.Option(
            min=2, help="Let so many networks of a search compete; SUBNET is its run, the newest if not given."
        ),
    ] = None,
    engine: options.Engine = None,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    amp: options.Amp = "auto",
    loaders: options.Loaders = None,
    name: options.Name = "finetune",
    out: options.Out = None,
    resume: options.Resume = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train an extracted network on its own, and write the weights that ship.

    With --candidates the best few of a search are trained for a while, the better ones for longer, one to the end.

    Example: litepose-nas finetune subnet.safetensors --epochs 20
    """
    from litepose_nas import files
    from litepose_nas.executors.open_executor import EXECUTORS, ExecutorOptions
    from litepose_nas.steps import finetune as step
    from litepose_nas.steps.common import needed
    from litepose_nas.train.recipe import Length

    if "=" in subnet.name and not subnet.exists():  # the file was left out, and this is the first setting
        subnet, settings = Path("subnet.safetensors"), [str(subnet), *(settings or [])]
    length, take = Length(steps, epochs, hours), step.LAST if last else step.BEST
    asked = step.FinetuneOptions(subnet, settings or (), length, teacher, take, seed, device, amp)
    past = resumed(context, step.VERB, "engine", "workers", "loaders")
    if past:
        candidates = past.settings.get("candidates")
    if candidates:
        if loaders is not None:
            raise UserError(
                "--loaders is for one network; with --candidates say how many train at a time with --workers"
            )
        executor = ExecutorOptions(engine or EXECUTORS[0], workers)
        return _compete(past, asked, data, candidates, executor, name, out, dry_run)
    if engine is not None or workers is not None:
        raise UserError("--engine and --workers are for --candidates: one network is trained in this process")
    if past:
        training = step.load(past, open_data(past.settings["data"]), device)
    else:
        known = step.known_weights(subnet)
        asked.check(known, str(subnet))
        training = step.plan(asked, open_data(data or needed(known, str(subnet))["data"]))
        if training.quick:
            console.out(QUICK)
        console.out(f"{subnet}: {step.words(training)}")
    if dry_run:
        return nothing_written(device, training.settings["recipe"]["batch"])
    with running(step.VERB, past, training.settings, name, out) as run:
        with console.live("fine-tuning") as show:
            path, scores = step.finetune(run, training, training_reporter(run, show), tick=show, loaders=loaders)
        files.write(TARGET, path.read_bytes())
    console.out(f"on the held-out slice: loss {scores['loss']:.4f}, AP {scores['ap']:.3f}")
    which = f"the {path.stem} weights, those of step {scores['step']} of {training.settings['steps']}"
    console.out(f"written to {TARGET}: {which}; {step.BEST} and {step.LAST} are in {path.parent}")
    console.out(f"next: litepose-nas evaluate {TARGET}")


def _compete(
    past: Run | None,
    asked: FinetuneOptions,
    data: str | None,
    count: int,
    executor: ExecutorOptions,
    name: str,
    out: Path | None,
    dry_run: bool,
) -> None:
    """Train the candidates of a search and ship the best; `asked.subnet` is the search's run, or the default file."""
    from litepose_nas import files
    from litepose_nas.runs.run import Run
    from litepose_nas.steps import finetune, search
    from litepose_nas.steps import successive_halving as step
    from litepose_nas.steps.common import duration, needed

    executor.check()
    if past:
        settings, source = past.settings, open_data(past.settings["data"])
    else:
        newest = asked.subnet == Path("subnet.safetensors")
        searched = Run.latest(search.VERB, having=search.CHOSEN) if newest else Run.open(asked.subnet)
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
        asked.check(subnets[0], str(where))
        source = open_data(data or needed(subnets[0], str(where))["data"])
        training = step.plan(subnets[0], source, asked)
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

        found = step.compete(run, source, asked.device, executor, tell)
        files.write(TARGET, found.weights.read_bytes())
    scores = found.scores
    first = ", which the search had chosen" if found.candidate == 1 else ", not the search's choice, which is number 1"
    console.out(f"candidate {found.candidate} of {settings['candidates']} came out best{first}")
    console.out(f"on the held-out slice: loss {scores['loss']:.4f}, AP {scores['ap']:.3f}")
    console.out(f"written to {TARGET}; all candidates are in {run.folder / step.FOLDER}")
    console.out(f"next: litepose-nas evaluate {TARGET}")
