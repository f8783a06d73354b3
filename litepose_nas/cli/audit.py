"""litepose-nas audit."""

from __future__ import annotations

from typing import Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Data, Device, DryRun, Epochs, Json, Name, Out, Resume, Seed
from litepose_nas.cli.session import budget_near, open_data, resumed, running


def audit(
    context: typer.Context,
    supernet: Annotated[str | None, typer.Argument(help="The run of a supernet; the newest if not given.")] = None,
    nets: Annotated[int | None, typer.Option(min=2, help="Networks to train alone.", show_default="24")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Trainings of each.", show_default="2")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of each training; the supernet's if not given.")
    ] = None,
    epochs: Epochs = None,
    hours: Annotated[float | None, typer.Option(min=0.001, help="Hours for all trainings together.")] = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "auto",
    name: Name = "audit",
    out: Out = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask whether a supernet ranks networks as training them alone does.

    A search believes the scores that networks have with the supernet's weights. Here some networks, spread over the
    costs, are trained alone from scratch, with the supernet's pictures and recipe, and the two rankings are compared:
    Kendall's tau (1: the same order, 0: chance), and how many of the best are found, each with its 95 % interval.

    Read the column inside strata first: everything that grows with the cost has a high tau over the whole space, so
    only among networks of like cost does a score show that it knows more than the cost. The line of another seed is the
    ceiling: how well a training agrees with its own repetition.

    Example: litepose-nas audit --nets 24 --seeds 2 --steps 1000
    """
    from litepose_nas.report import audit as report
    from litepose_nas.steps import audit as step
    from litepose_nas.steps.common import duration
    from litepose_nas.train.recipe import Length

    say = console.step if as_json else console.out
    past = resumed(context, step.VERB)
    if past:
        ready = step.load(past, device, open_data)
    else:
        options = step.AuditOptions(supernet, nets, seeds, Length(steps, epochs, hours), data, seed, device)
        ready = step.plan(options, open_data)
        if ready.settings["quick"]:
            say("quick preset for a processor: few networks, trained briefly; a real audit: --nets 24 --steps 1000")
        kept = ready.settings
        costs = [ready.context.problem.cost(arch).macs for arch in (ready.archs[0], ready.archs[-1])]
        ends = " to ".join(console.short(macs, "MAC") for macs in costs)
        say(
            f"{len(ready.archs)} networks of {ready.context.problem.space.name}, {ends}, each trained alone "
            f"{kept['seeds']} times for {kept['steps']:,} steps of batch {ready.recipe.batch}: about "
            f"{duration(ready.seconds)}"
        )
        if dry_run:
            say("nothing was written")
            return
    with running(step.VERB, past, ready.settings, name, out) as run, console.live("auditing") as show:

        def tick(done: int, total: int, text: str, line: str) -> None:
            if line:
                run.log(line)
            show(done, total, text, line)

        found = step.audit(run, ready, tick)
    if as_json:
        console.as_json(report.to_json(found))
        return
    truth, seeds = "AP" if found.by == "ap" else "loss", ready.settings["seeds"]
    mean = f", the mean of {seeds} seeds" if seeds > 1 else ""
    console.out(f"against the {truth} of networks trained alone{mean}:")
    console.table(*report.table(found))
    for line in report.verdict(found):
        console.out(line)
    console.out(f"written to {run.folder}: audit.csv, audit.json, audit.svg, and the weights of each training")
    trained = ready.context.candidates.supernet
    near = budget_near(trained.space, trained.joints)
    console.out(f"next: litepose-nas search {ready.settings['supernet']} --budget {near}")
