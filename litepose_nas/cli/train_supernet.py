"""litepose-nas train-supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import (
    Amp,
    Data,
    Device,
    DryRun,
    Epochs,
    Hours,
    Loaders,
    Out,
    Resume,
    Seed,
    Settings,
    Steps,
    check_alone,
)
from litepose_nas.cli.session import (
    budget_near,
    ends,
    nothing_written,
    open_data,
    running,
    training_reporter,
    unfinished,
)


def train_supernet(
    context: typer.Context,
    settings: Settings = None,
    space: Annotated[str, typer.Option(help="A name from `space list`, or a YAML file.")] = "litepose",
    data: Data = None,
    init: Annotated[
        str | None, typer.Option(help="Start from weights: another program's, or a network or supernet of ours.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Of a temporal space: the trained .safetensors for its key frames.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="default, or as published: litepose (bottom-up), vipnas (top-down).")
    ] = "default",
    steps: Steps = None,
    epochs: Epochs = None,
    hours: Hours = None,
    seed: Seed = 0,
    device: Device = "auto",
    amp: Amp = "auto",
    loaders: Loaders = None,
    name: Annotated[str, typer.Option(help="The name of the run.")] = "supernet",
    out: Out = None,
    resume: Resume = False,
    dry_run: DryRun = False,
) -> None:
    """Train one supernet for a whole space.

    With no length on a machine without a GPU, a quick preset of a few minutes shows the whole path.

    Example: litepose-nas train-supernet --space litepose-tiny --epochs 20 lr=0.01
    """
    from litepose_nas.space import Space
    from litepose_nas.steps import train_supernet as step
    from litepose_nas.train.recipe import Length, changed, keys, named

    past = None
    if resume:
        check_alone(context, "out", "device", "loaders")
        past = unfinished(step.VERB, out)
        training = step.load(past, open_data(past.settings["data"]), device)
    else:
        settings, task = settings or [], Space.load(space).task
        length, how = Length(steps, epochs, hours), changed(named(recipe, task), settings, task)
        options = step.TrainOptions(space, how, length, seed, device, amp, init, key, keys(settings))
        options.check()
        training = step.plan(options, open_data(data), console.out)
        if training.settings["quick"]:
            console.out("quick preset for a processor: it shows the whole path, it does not make a good supernet.")
            console.out("A real training: litepose-nas train-supernet --data YOURS.yaml --epochs 200, on a GPU.")
        console.out(f"{space}: {step.words(training)}")
    trained, joints = training.supernet.space, training.data.joints
    if dry_run:
        low, high = ends(trained, joints)
        console.out(f"reachable budgets: {console.short(low.macs, 'MAC')} to {console.short(high.macs, 'MAC')}")
        return nothing_written(device, training.settings["recipe"]["batch"])
    with running(step.VERB, past, training.settings, name, out) as run, console.live("training") as show:
        path = step.train(run, training, training_reporter(run, show), tick=show, loaders=loaders)
    place = f" {run.folder}" if run.folder.parent != Path("runs") / step.VERB else ""
    console.out(f"written to {path}")
    console.out(f"next: litepose-nas search{place} --budget {budget_near(trained, joints)}")
