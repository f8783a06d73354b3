"""litepose-nas data: drawn people, and a look at datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.cli import console, datasets
from litepose_nas.cli.check import check

app = typer.Typer(help="Make datasets, check, count, rewrite and divide them.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make datasets, check, count, rewrite and divide them."""


@app.command()
def toy(
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    train: Annotated[
        int | None, typer.Option(min=1, help="Training pictures, 1500 if not given; or videos, 40.")
    ] = None,
    val: Annotated[
        int | None, typer.Option(min=1, help="Validation pictures, 150 if not given; or videos, 10.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=32, help="Pixels; 160, videos 224, or 512 when hard, if not given.")
    ] = None,
    setting: Annotated[
        str, typer.Option(help="easy (what a demo learns in minutes), standard, or hard (crowded, blurred: for GPUs).")
    ] = "standard",
    subject: Annotated[
        str, typer.Option(help="people; arm: robot arms of seven joints; video: people who move, with tracks.")
    ] = "people",
    skeleton: Annotated[
        str, typer.Option(help="Of people: coco, 17 joints, or mpii, 16 joints, in MPII's layout with heads for PCKh.")
    ] = "coco",
    frames: Annotated[int | None, typer.Option(min=1, help="Of each video; 24 if not given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that is not such a dataset.")] = False,
) -> None:
    """Draw people, robot arms, or videos: pictures and a COCO-keypoints JSON, the same bytes every time.

    Videos are written in PoseTrack18's layout.

    Examples: litepose-nas data toy people --train 200 --val 50
    litepose-nas data toy films --subject video --train 8 --val 2
    """
    from litepose_nas.synthetic.dataset import write_toy

    with console.progress("drawing") as step:
        made = write_toy(folder, train, val, size, seed, setting, force, step, subject, frames, skeleton)
    rows = zip(("train", "val"), made.pictures, made.people, made.crowds, made.hidden, made.tracks, strict=True)
    table = [
        (name, p, people, crowds, f"{100 * hidden:.0f} %", tracks) for name, p, people, crowds, hidden, tracks in rows
    ]
    names = {"arm": ("pictures", "arms", "crowds"), "video": ("frames", "people", "ignored")}
    head = ("split", *names.get(subject, ("pictures", "people", "crowds")), "hidden joints")
    films = subject == "video"
    console.table((*head, "tracks") if films else head, table if films else [row[:-1] for row in table])
    console.out(f"written to {folder} in {made.seconds:.1f} s")
    console.out(f"next: litepose-nas train-supernet --data {folder}")


app.command("check")(check)
app.command("stats")(datasets.stats)
app.command("convert")(datasets.convert)
app.command("split")(datasets.split)
