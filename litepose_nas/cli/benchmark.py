"""litepose-nas benchmark: a network in every runtime that is installed, on images."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas import files
from litepose_nas.cli import console
from litepose_nas.cli.options import Json
from litepose_nas.cli.session import open_data
from litepose_nas.cli.weights import MAX_LOSS, MOST_IMAGES
from litepose_nas.errors import UserError
from litepose_nas.space import input_size

if TYPE_CHECKING:
    from litepose_nas.steps.benchmark import Benchmark


def benchmark(
    target: Annotated[Path, typer.Argument(help="A .safetensors file.")],
    data: Annotated[str, typer.Option(help="The dataset whose images the files are judged on.")],
    split: Annotated[str, typer.Option(help="val, train or test.")] = "val",
    images: Annotated[int, typer.Option(min=1, help="On so many images.")] = MOST_IMAGES,
    metric: Annotated[str | None, typer.Option(help="ap, nme or pck; the data's own if not given.")] = None,
    input: Annotated[str | None, typer.Option(help="Input size HxW, if not the architecture's own.")] = None,
    max_loss: Annotated[float, typer.Option(min=0, help="Points that int8 may lose, as for `export`.")] = MAX_LOSS,
    seconds: Annotated[float, typer.Option(min=0, help="How long each file is measured.")] = 3.0,
    out: Annotated[Path | None, typer.Option(help="A new folder that keeps the files; none if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write a network for all targets that are installed, in all precisions, and compare them.

    One table: figures on images, milliseconds of one thread measured in turn and their noise, bytes, memory.

    Example: litepose-nas benchmark subnet-finetuned.safetensors --data people
    """
    from litepose_nas.resolve import resolve
    from litepose_nas.steps import benchmark as step
    from litepose_nas.steps.export import exported
    from litepose_nas.steps.image_report import judge_of

    found = resolve(str(target))
    if found.weights is None:
        raise UserError(f"{target}: an architecture without weights finds nobody; give a .safetensors file")
    size = found.subnet.input if input is None else input_size(input)
    with files.new_folder(out) if out else tempfile.TemporaryDirectory() as folder:
        judge = judge_of(str(target), size, open_data(data), split, images, metric)
        what = exported(judge.loaded.net, found.subnet, size, False)
        done = step.benchmark(what, target, judge, Path(folder), max_loss, seconds, console.step)
    if as_json:
        console.as_json(done.to_json())
        return
    _print(done)


def _print(done: Benchmark) -> None:
    from litepose_nas.cli.export_report import HEAD, named, report_rows

    report = done.report
    console.out(f"{report.figure} on {report.images} images of {report.data}, {report.split}; ms on one thread")
    memory = ["-" if each is None else f"{each / 1e6:.0f}" for each in done.memory]
    rows = [[*row, each] for row, each in zip(report_rows(report), memory, strict=True)]
    console.table(("target", "precision", *HEAD, "memory MB"), rows)
    for name, choice in done.int8.items():
        kept = f"; in floating point: {named([one.layer for one in choice.kept])}" if choice.kept else ""
        console.out(f"{name}, int8: {choice.share:.1%} of the MACs are computed with integers{kept}")
    for key, why in done.left_out.items():
        console.out(f"left out: {key}: {why}")
