"""litepose-nas train-supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.cli import console, options
from litepose_nas.cli.session import budget_near, ends, nothing_written, open_data, resumed, running, training_reporter


def train_supernet(
    context: typer.Context,
    settings: options.Settings = None,
    space: Annotated[str, typer.Option(help="A name from `space list`, or a YAML file.")] = "litepose",
    data: options.Data = None,
    init: Annotated[
        str | None, typer.Option(help="Start from weights: another program's, or a network or supernet of ours.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Of a temporal space: the trained .safetensors for its key frames.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="default, or as published: litepose (bottom-up), vipnas (top-down).")
    ] = "default",
    steps: options.Steps = None,
    epochs: options.Epochs = None,
    hours: options.Hours = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    amp: options.Amp = "auto",
    loaders: options.Loaders = None,
    name: options.Name = "supernet",
    out: options.Out = None,
    resume: options.Resume = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train one supernet for a whole space.

    With no length on a machine without a GPU, a quick preset of a few minutes shows the whole path.

    Example: litepose-nas train-supernet --space litepose-tiny --epochs 20 lr=0.01
    """
    from litepose_nas.space import Space
    from litepose_nas.steps import train_supernet as step
    from litepose_nas.train.recipe import Length, changed, keys, named

    past = resumed(context, step.VERB, "loaders")
    if past:
        training = step.load(past, open_data(past.settings["data"]), device)
    else:
        settings, task = settings or [], Space.load(space).task
        length, how = Length(steps, epochs, hours), changed(named(recipe, task), settings, task)
        asked = step.TrainOptions(space, how, length, seed, device, amp, init, key, keys(settings))
        asked.check()
        training = step.plan(asked, open_data(data), console.out)
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
