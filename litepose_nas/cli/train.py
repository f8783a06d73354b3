"""litepose-nas train-supernet and finetune."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import (
    Amp,
    Data,
    Device,
    DryRun,
    Epochs,
    Hours,
    Out,
    Resume,
    Seed,
    Settings,
    Steps,
    check_alone,
)
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.data.source import Source
    from litepose_nas.runs.run import Run
    from litepose_nas.train.loop import Progress


def train_supernet(
    context: typer.Context,
    settings: Settings = None,
    space: Annotated[str, typer.Option(help="A name from `space list`, or a YAML file.")] = "litepose",
    data: Data = None,
    init: Annotated[str | None, typer.Option(help="Start from a LitePose-shaped checkpoint.")] = None,
    recipe: Annotated[
        str, typer.Option(help="default, or as published: litepose (bottom-up), vipnas (top-down).")
    ] = "default",
    steps: Steps = None,
    epochs: Epochs = None,
    hours: Hours = None,
    seed: Seed = 0,
    device: Device = "auto",
    amp: Amp = "auto",
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
        check_alone(context, "out", "device")
        run = Run.open(interrupted(step.VERB, out))
        supernet, read, trainee, plan = step.again(run, open_data(run.settings["data"]), device)
        run = Run.resume(run.folder)
    else:
        settings = settings or []
        task = Space.load(space).task
        length, how = Length(steps, epochs, hours), changed(named(recipe, task), settings, task)
        wishes = step.Wishes(space, how, length, seed, device, amp, init, keys(settings))
        step.check(wishes)
        supernet, read, trainee, plan = step.prepare(wishes, open_data(data), console.out)
        if plan.quick:
            console.out("quick preset for a processor: it shows the whole path, it does not make a good supernet.")
            console.out("A real training: litepose-nas train-supernet --data YOURS.yaml --epochs 200, on a GPU.")
        console.out(f"{space}: {step.words(plan, supernet)}")
        if dry_run:
            _dry(supernet.space, read.joints, plan.seconds)
            return
        run = Run.create(step.VERB, name, settings=plan.settings, out=out)
    with run, told(run, step.VERB):
        path = step.train(run, supernet, read, trainee, plan, reporter(run))
    place = f" {run.folder}" if run.folder.parent != Path("runs") / step.VERB else ""
    console.out(f"written to {path}")
    console.out(f"next: litepose-nas search{place} --budget {_budget(supernet.space, read.joints)}")


def finetune(
    context: typer.Context,
    subnet: Annotated[Path, typer.Argument(help="Weights that `extract` wrote.")] = Path("subnet.safetensors"),
    settings: Settings = None,
    data: Data = None,
    steps: Steps = None,
    epochs: Epochs = None,
    hours: Hours = None,
    teacher: Annotated[bool, typer.Option("--teacher", help="Learn from the widest net of the supernet too.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    amp: Amp = "auto",
    name: Annotated[str, typer.Option(help="The name of the run.")] = "finetune",
    out: Out = None,
    resume: Resume = False,
    dry_run: DryRun = False,
) -> None:
    """Train an extracted network on its own, and write the weights that ship.

    Example: litepose-nas finetune subnet.safetensors --epochs 20
    """
    from litepose_nas import weights
    from litepose_nas.runs.run import Run
    from litepose_nas.steps import finetune as step
    from litepose_nas.steps.common import duration, needed
    from litepose_nas.target import subnet_of
    from litepose_nas.train.recipe import Length, changed

    if "=" in subnet.name and not subnet.exists():  # the file was left out, and this is the first setting
        subnet, settings = Path("subnet.safetensors"), [str(subnet), *(settings or [])]
    if resume:
        check_alone(context, "out", "device")
        run = Run.open(interrupted(step.VERB, out))
        ready = step.again(run, open_data(run.settings["data"]), device)
        run = Run.resume(run.folder)
    else:
        known = step.known_weights(subnet)
        task = known.arch.space.task
        recipe = step.recipe_of(known, str(subnet), lambda recipe: changed(recipe, settings or [], task))
        source = open_data(data or needed(known, str(subnet))["data"])
        ready = step.prepare(subnet, source, recipe, Length(steps, epochs, hours), device, amp, seed, teacher)
        console.out(f"{subnet}: {step.words(ready.plan)}" + (" (quick preset)" if ready.plan.quick else ""))
        if dry_run:
            console.out(f"about {duration(ready.plan.seconds)}; nothing was written")
            return
        run = Run.create(step.VERB, name, settings=ready.plan.settings, out=out)
    target = Path("subnet-finetuned.safetensors")
    with run, told(run, step.VERB):
        path, scores = step.finetune(run, ready, reporter(run))
        weights.save(ready.net, target, subnet_of(path))
    console.out(f"on the held-out slice: loss {scores['loss']:.4f}, AP {scores['ap']:.3f}")
    console.out(f"written to {path} and {target}")
    console.out(f"next: litepose-nas evaluate {target}")


def open_data(what: str | None) -> Source:
    """Open a dataset, drawing people with a progress bar if none is named."""
    from litepose_nas.data.source import DRAWN, open_source

    with console.progress("drawing people") as step:
        return open_source(None if what in (None, str(DRAWN)) else what, step)


def interrupted(verb: str, out: Path | None) -> Path:
    """Return the folder of the run to go on with."""
    from litepose_nas.runs.run import Run

    return out if out is not None else Run.latest(verb).folder


@contextmanager
def told(run: Run, verb: str) -> Iterator[None]:
    """Say how to go on when somebody interrupts, or when something ends it that can be mended."""
    from litepose_nas.pose.decode import DivergedError

    again = f"litepose-nas {verb} --resume --out {run.folder}"
    try:
        yield
    except KeyboardInterrupt:
        raise console.StoppedError(f"stopped; go on with: {again}") from None
    except DivergedError:  # going on would end in the same place
        raise
    except UserError as error:
        raise UserError(f"{error}; then go on with: {again}") from error


def reporter(run: Run):  # type: ignore[no-untyped-def]
    """Return a function that prints and logs progress."""
    from litepose_nas.steps.common import duration

    def report(p: Progress) -> None:
        losses = " ".join(f"{name} {value:.4f}" for name, value in p.losses.items())
        line = (
            f"{p.step}/{p.steps}  {losses}  {p.images_per_second:.1f} images/s"
            f"  waiting {100 * p.waiting:.0f} %  left {duration(p.left)}"
        )
        run.log(line)
        console.step(line)

    return report


def _budget(space, joints: int) -> str:  # type: ignore[no-untyped-def]
    """Return a budget in the lower middle of what the space reaches."""
    from litepose_nas import costs

    low, high = (costs.cost(arch, joints=joints).macs for arch in (space.smallest, space.widest))
    middle = (low * high) ** 0.5
    return f"{middle / 1e9:.1f}GMAC" if middle > 5e8 else f"{middle / 1e6:.0f}MMAC"


def _dry(space, joints: int, seconds: float) -> None:  # type: ignore[no-untyped-def]
    from litepose_nas import costs

    low, high = (costs.cost(arch, joints=joints) for arch in (space.smallest, space.widest))
    console.out(f"reachable budgets: {console.short(low.macs, 'MAC')} to {console.short(high.macs, 'MAC')}")
    memory = (high.weight_bytes * 4 + high.peak_bytes * 8) / 1e9
    console.out(f"weights, gradients, momenta and activations: {memory:.1f} GB and up; nothing was written")
