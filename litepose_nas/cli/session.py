"""What the verbs share that make a run: its data, its resumption, and the progress it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from litepose_nas import costs
from litepose_nas.cli import console
from litepose_nas.cli.options import check_alone
from litepose_nas.costs import Cost
from litepose_nas.errors import FaultError, UserError
from litepose_nas.machine_errors import explained

if TYPE_CHECKING:
    from litepose_nas.data.source import Source
    from litepose_nas.runs.run import Run
    from litepose_nas.space import Space
    from litepose_nas.train.loop import Progress


def open_data(what: str | None) -> Source:
    """Open a dataset; without a name, draw people and show a progress bar."""
    from litepose_nas.synthetic.dataset import open_or_draw

    with console.progress("drawing people") as step:
        return open_or_draw(what, step)


def resumed(context: typer.Context, verb: str, *free: str) -> Run | None:
    """Open the run that --resume continues: the one in --out, or the newest that has not ended.

    Beside --resume only the options named, --out, --device and --json may be given.
    """
    from litepose_nas.runs.run import Run

    if not context.params["resume"]:
        return None
    check_alone(context, "out", "device", "as_json", *free)
    out = context.params["out"]
    run = Run.open(out) if out is not None else Run.unfinished(verb)
    console.step(f"going on with {run.folder}")
    return run


@contextmanager
def running(verb: str, past: Run | None, settings: Mapping[str, Any], name: str, out: Path | None) -> Iterator[Run]:
    """Continue the past run, or create one with these settings; note its end.

    On interrupt or user error, print the command that resumes.
    """
    from litepose_nas.pose.people import DivergedError
    from litepose_nas.runs.run import Run

    run = Run.resume(past.folder) if past else Run.create(verb, name, settings=settings, out=out)
    again = f"litepose-nas {verb} --resume --out {run.folder}"
    try:
        with run:
            yield run
            run.end()
    except KeyboardInterrupt:
        raise console.StoppedError(f"stopped; go on with: {again}") from None
    except (DivergedError, console.StoppedError, BrokenPipeError):  # a resumed training would diverge in the same place
        raise
    except Exception as error:
        known = explained(error)
        if known is None:
            raise FaultError(run.folder, again) from error
        raise UserError(f"{known}; then go on with: {again}") from error


def training_reporter(run: Run, show: Callable[..., None]) -> Callable[[Progress], None]:
    """A function that shows and logs the progress of a training."""
    from litepose_nas.steps.common import duration

    def report(p: Progress) -> None:
        losses = " ".join(f"{name} {value:.4f}" for name, value in p.losses.items())
        speed = f"{p.images_per_second:.1f} images/s  waiting for pictures {100 * p.waiting:.0f} %"
        line = f"{p.step}/{p.steps}  {losses}  {speed}  left {duration(p.left)}"
        run.log(line)
        show(p.step, p.steps, f"{speed}  loss {p.losses['loss']:.4f}", line)

    return report


def budget_near(space: Space, joints: int) -> str:
    """A budget in the lower middle of what the space reaches."""
    low, high = ends(space, joints)
    middle = (low.macs * high.macs) ** 0.5
    return f"{middle / 1e9:.1f}GMAC" if middle > 5e8 else f"{middle / 1e6:.0f}MMAC"


def ends(space: Space, joints: int) -> list[Cost]:
    """What the cheapest and the dearest network of a space cost."""
    return [costs.cost(arch, joints=joints) for arch in (space.smallest, space.widest)]


def nothing_written(device: str, batch: int) -> None:
    """What is left to say after a dry run of a training; two of its steps have been measured."""
    from litepose_nas import devices

    taken = devices.most_memory(devices.pick(device))
    if taken:
        console.out(f"memory: {taken / 1e9:.1f} GB and up, the most that two steps of batch {batch} have taken")
    console.out("nothing was written")
