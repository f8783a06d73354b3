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
    train: Annotated[int, typer.Option(min=1, help="Training pictures.")] = 1500,
    val: Annotated[int, typer.Option(min=1, help="Validation pictures.")] = 150,
    size: Annotated[int | None, typer.Option(min=32, help="Pixels; 160, or 512 when hard, if not given.")] = None,
    setting: Annotated[
        str, typer.Option(help="easy (what a demo learns in minutes), standard, or hard (crowded, blurred: for GPUs).")
    ] = "standard",
    subject: Annotated[str, typer.Option(help="people, or arm: robot arms of seven joints.")] = "people",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that is not such a dataset.")] = False,
) -> None:
    """Draw people, or robot arms: pictures and a COCO-keypoints JSON, the same bytes every time.

    Example: litepose-nas data toy people --train 200 --val 50
    """
    from litepose_nas.data.toy import write_toy

    with console.progress("drawing") as step:
        made = write_toy(folder, train, val, size, seed, setting, force, step, subject)
    rows = zip(("train", "val"), made.pictures, made.people, made.crowds, made.hidden, strict=True)
    table = [(name, p, people, crowds, f"{100 * hidden:.0f} %") for name, p, people, crowds, hidden in rows]
    console.table(("split", "pictures", subject + "s" * (subject == "arm"), "crowds", "hidden joints"), table)
    console.out(f"written to {folder} in {made.seconds:.1f} s")
    console.out(f"next: litepose-nas train-supernet --data {folder}")


app.command("check")(check)
app.command("stats")(datasets.stats)
app.command("convert")(datasets.convert)
app.command("split")(datasets.split)
