"""litepose-nas finetune."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.candidates import QUICK, TARGET, compete
from litepose_nas.cli.options import (
    Amp,
    Data,
    Device,
    DryRun,
    Engine,
    Epochs,
    Hours,
    Loaders,
    Out,
    Resume,
    Seed,
    Settings,
    Steps,
    Workers,
    check_alone,
)
from litepose_nas.cli.session import nothing_written, open_data, running, training_reporter, unfinished
from litepose_nas.errors import UserError


def finetune(
    context: typer.Context,
    subnet: Annotated[Path, typer.Argument(help="Weights that `extract` wrote.")] = Path("subnet.safetensors"),
    settings: Settings = None,
    data: Data = None,
    steps: Steps = None,
    epochs: Epochs = None,
    hours: Hours = None,
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
    engine: Engine = None,
    workers: Workers = None,
    seed: Seed = 0,
    device: Device = "auto",
    amp: Amp = "auto",
    loaders: Loaders = None,
    name: Annotated[str, typer.Option(help="The name of the run.")] = "finetune",
    out: Out = None,
    resume: Resume = False,
    dry_run: DryRun = False,
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
    options = step.FinetuneOptions(subnet, settings or (), length, teacher, take, seed, device, amp)
    past = None
    if resume:
        check_alone(context, "out", "device", "engine", "workers", "loaders")
        past = unfinished(step.VERB, out)
        candidates = past.settings.get("candidates")
    if candidates:
        if loaders is not None:
            raise UserError(
                "--loaders is for one network; with --candidates say how many train at a time with --workers"
            )
        executor = ExecutorOptions(engine or EXECUTORS[0], workers)
        return compete(past, options, data, candidates, executor, name, out, dry_run)
    if engine is not None or workers is not None:
        raise UserError("--engine and --workers are for --candidates: one network is trained in this process")
    if past:
        training = step.load(past, open_data(past.settings["data"]), device)
    else:
        known = step.known_weights(subnet)
        options.check(known, str(subnet))
        training = step.plan(options, open_data(data or needed(known, str(subnet))["data"]))
        if training.quick:
            console.out(QUICK)
        console.out(f"{subnet}: {step.words(training)}")
    if dry_run:
        return nothing_written(device, training.settings["recipe"]["batch"])
    with running(step.VERB, past, training.settings, name, out) as run:
        with console.live("fine-tuning") as show:
            path, scores = step.finetune(run, training, training_reporter(run, show), tick=show, loaders=loaders)
        with files.replacing(TARGET) as temporary:
            shutil.copyfile(path, temporary)
    console.out(f"on the held-out slice: loss {scores['loss']:.4f}, AP {scores['ap']:.3f}")
    which = f"the {path.stem} weights, those of step {scores['step']} of {training.settings['steps']}"
    console.out(f"written to {TARGET}: {which}; {step.BEST} and {step.LAST} are in {path.parent}")
    console.out(f"next: litepose-nas evaluate {TARGET}")
