"""litepose-nas demo: all steps on drawn people."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Json, Name, Out, Resume
from litepose_nas.cli.session import resumed, running

NETWORKS = 5


def demo(
    context: typer.Context,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same people, same figures.")] = 0,
    name: Name = "demo",
    out: Out = None,
    resume: Resume = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="For the supernet; measured and chosen if not given.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A minute to see that all of it runs; its figures mean nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Draw people, train a supernet, search it, fine-tune and compare what was found: minutes on a processor.

    Nothing is downloaded, no GPU is used, and everything stays in runs/demo.

    Example: litepose-nas demo
    """
    from litepose_nas.demo import scale, stages

    say = console.step if as_json else console.out
    past = resumed(context, stages.VERB)
    lanes, sizes = min(os.cpu_count() or 1, NETWORKS), scale.QUICK if quick else scale.FULL
    settings = {"seed": seed, "threads": threads, "lanes": lanes, "scale": sizes._asdict()}
    box = stages.box()
    with running(stages.VERB, past, settings, name, out) as run:
        for line in box:
            say(line)
        with console.status("demo") as tick:
            found = stages.run_demo(run, say, tick, 0.5 if sys.stderr.isatty() else stages.EVERY)
    if as_json:
        console.as_json(found)
    else:
        _conclude(found, run.folder)


def _conclude(found: dict[str, Any], folder: Path) -> None:
    console.out()
    console.table(
        ("network", "input", "MACs", "params", "AP inherited", "AP fine-tuned", "AP50"),
        [
            (
                row["network"],
                "x".join(map(str, row["input"])),
                console.short(row["macs"], "MAC"),
                row["params"],
                *(f"{row[key]:.3f}" for key in ("ap_inherited", "ap_finetuned", "ap50_finetuned")),
            )
            for row in found["rows"]
        ],
    )
    ahead = found["searched_against_scaled"]
    console.out(
        f"\nsearched against scaled, fine-tuned: {ahead['difference']:+.3f} AP, 95 % of {ahead['resamples']} bootstrap "
        f"draws between {ahead['low']:+.3f} and {ahead['high']:+.3f}"
    )
    minutes = sum(found["stage_seconds"].values()) / 60
    lost = ", without what interruptions lost" if found["interruptions"] else ""
    console.out(f"AP on the validation pictures, by pycocotools; {minutes:.1f} minutes in all{lost}")
    console.out(f"see {folder / 'predictions.jpg'} and {folder / 'front.svg'}")
    console.out(f"next, your own pictures: litepose-nas predict {found['weights']} PICTURES")
    console.out("and your own data:       litepose-nas train-supernet --data YOURS.yaml")
