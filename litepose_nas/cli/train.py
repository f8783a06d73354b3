"""litepose-nas train-supernet and finetune."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas import costs
from litepose_nas.cli import console
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
from litepose_nas.cli.session import budget_near, open_data, resume_hint, training_reporter, unfinished
from litepose_nas.costs import Cost
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.space import Space


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
    from litepose_nas.runs.run import Run
    from litepose_nas.space import Space
    from litepose_nas.steps import train_supernet as step
    from litepose_nas.train.recipe import Length, changed, keys, named

    if resume:
        check_alone(context, "out", "device", "loaders")
        run = unfinished(step.VERB, out)
        supernet, read, trainee, plan = step.again(run, open_data(run.settings["data"]), device)
        run = Run.resume(run.folder)
    else:
        settings = settings or []
        task = Space.load(space).task
        length, how = Length(steps, epochs, hours), changed(named(recipe, task), settings, task)
        wishes = step.Wishes(space, how, length, seed, device, amp, init, key, keys(settings))
        step.check(wishes)
        supernet, read, trainee, plan = step.prepare(wishes, open_data(data), console.out)
        if plan.quick:
            console.out("quick preset for a processor: it shows the whole path, it does not make a good supernet.")
            console.out("A real training: litepose-nas train-supernet --data YOURS.yaml --epochs 200, on a GPU.")
        console.out(f"{space}: {step.words(plan, supernet)}")
        if dry_run:
            low, high = _ends(supernet.space, read.joints)
            console.out(f"reachable budgets: {console.short(low.macs, 'MAC')} to {console.short(high.macs, 'MAC')}")
            _dry(device, plan.settings["recipe"]["batch"])
            return
        run = Run.create(step.VERB, name, settings=plan.settings, out=out)
    with run, resume_hint(run, step.VERB):
        with console.live("training") as show:
            path = step.train(
                run, supernet, read, trainee, plan, training_reporter(run, show), tick=show, loaders=loaders
            )
        run.end()
    place = f" {run.folder}" if run.folder.parent != Path("runs") / step.VERB else ""
    console.out(f"written to {path}")
    console.out(f"next: litepose-nas search{place} --budget {budget_near(supernet.space, read.joints)}")


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
    from litepose_nas.cli.candidates import Wish, begin, go_on
    from litepose_nas.runs.run import Run
    from litepose_nas.steps import finetune as step
    from litepose_nas.steps.common import needed
    from litepose_nas.train.recipe import Length, changed

    if "=" in subnet.name and not subnet.exists():  # the file was left out, and this is the first setting
        subnet, settings = Path("subnet.safetensors"), [str(subnet), *(settings or [])]
    if resume:
        check_alone(context, "out", "device", "engine", "workers", "loaders")
        run = unfinished(step.VERB, out)
        if "candidates" in run.settings:
            _one_loader(loaders)
            return go_on(run, device, engine, workers)
    _alone(candidates, engine, workers)
    if candidates:
        _one_loader(loaders)
        wish = Wish(subnet, settings or [], data, Length(steps, epochs, hours), teacher, last, seed, device, amp)
        return begin(wish, candidates, engine, workers, name, out, dry_run)
    if resume:
        ready = step.again(run, open_data(run.settings["data"]), device)
        run = Run.resume(run.folder)
    else:
        known = step.known_weights(subnet)
        task = known.arch.space.task
        recipe = step.recipe_of(known, str(subnet), lambda recipe: changed(recipe, settings or [], task))
        source = open_data(data or needed(known, str(subnet))["data"])
        length, take = Length(steps, epochs, hours), step.LAST if last else step.BEST
        ready = step.prepare(subnet, source, recipe, length, device, amp, seed, teacher, take)
        if ready.plan.quick:
            console.out("quick preset for a processor; a real fine-tuning: --epochs 100 or more, on a GPU.")
        console.out(f"{subnet}: {step.words(ready)}")
        if dry_run:
            _dry(device, ready.plan.settings["recipe"]["batch"])
            return
        run = Run.create(step.VERB, name, settings=ready.plan.settings, out=out)
    target = Path("subnet-finetuned.safetensors")
    with run, resume_hint(run, step.VERB):
        with console.live("fine-tuning") as show:
            path, scores = step.finetune(run, ready, training_reporter(run, show), tick=show, loaders=loaders)
        with files.replacing(target) as temporary:
            shutil.copyfile(path, temporary)
        run.end()
    console.out(f"on the held-out slice: loss {scores['loss']:.4f}, AP {scores['ap']:.3f}")
    which = f"the {path.stem} weights, those of step {scores['step']} of {ready.plan.steps}"
    console.out(f"written to {target}: {which}; {step.BEST} and {step.LAST} are in {path.parent}")
    console.out(f"next: litepose-nas evaluate {target}")


def _alone(candidates: int | None, engine: str | None, workers: int | None) -> None:
    """Refuse to be told where to train many networks when there is one."""
    if candidates is None and (engine is not None or workers is not None):
        raise UserError("--engine and --workers are for --candidates: one network is trained in this process")


def _one_loader(loaders: int | None) -> None:
    """Refuse threads for each of many networks: these train beside each other."""
    if loaders is not None:
        raise UserError("--loaders is for one network; with --candidates say how many train at a time with --workers")


def _ends(space: Space, joints: int) -> list[Cost]:
    """The costs of the smallest and the widest network."""
    return [costs.cost(arch, joints=joints) for arch in (space.smallest, space.widest)]


def _dry(device: str, batch: int) -> None:
    """Say what is left to say where nothing is to be done; the length was measured by two steps of the real thing."""
    from litepose_nas import devices

    taken = devices.most_memory(devices.pick(device))
    if taken:
        console.out(f"memory: {taken / 1e9:.1f} GB and up, the most that two steps of batch {batch} have taken")
    console.out("nothing was written")
