"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.errors import UserError

Data = Annotated[
    str | None,
    typer.Option(help="A dataset YAML or JSON, a folder of `data toy`, or coco, mpii:DIR ...; drawn if not given."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda:N or mps.")]
Boxes = Annotated[
    Path | None,
    typer.Option(help="Where people are, for a top-down network: JSON of {image_id, category_id, bbox, score}."),
]
MinBoxScore = Annotated[float, typer.Option(help="Ignore boxes of --boxes below this score.")]
Flip = Annotated[bool, typer.Option("--flip", help="Average with the mirrored picture.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Latency = Annotated[Path | None, typer.Option(help="A profile of `latency fit`: milliseconds of a picture, too.")]
Ops = Annotated[
    str | None,
    typer.Option(help="What the target can run: xnnpack, tensorrt-dla, mdla-2, tensor-cores, or a YAML file."),
]
Amp = Annotated[str, typer.Option(help="Precision: auto, off, bf16 or fp16.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and stop.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the newest unfinished run, or the one in --out.")]
Name = Annotated[str, typer.Option(help="The name of the run.")]
Out = Annotated[Path | None, typer.Option(help="The folder of the run; a new one under runs/ if not given.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Length in steps.")]
Epochs = Annotated[float | None, typer.Option(min=0.001, help="Length in passes over the pictures.")]
Hours = Annotated[float | None, typer.Option(min=0.001, help="Length in hours on this machine.")]
Loaders = Annotated[
    int | None, typer.Option(min=0, max=64, help="Threads that prepare pictures; any number ends alike.")
]
Engine = Annotated[str | None, typer.Option(help="Where: local, the default, or ray, the cluster in RAY_ADDRESS.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="How many at a time; 1 if not given, or all that a Ray cluster has room for.")
]
Settings = Annotated[list[str] | None, typer.Argument(help="Settings of the recipe, such as lr=0.003 batch=32.")]


def check_alone(context: typer.Context, *free: str) -> None:
    """Refuse options beside --resume that would be ignored: a run goes on with the settings it was begun with."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        value = context.params.get(parameter.name or "")  # before click 8.2 an empty list of words counts as typed
        given = source is not None and source.name == "COMMANDLINE" and value not in (None, (), [])
        if given and parameter.name not in ("resume", *free):
            name = parameter.opts[0] if parameter.param_type_name == "option" else f"the {parameter.name}"
            raise UserError(
                f"--resume goes on with the settings in the run's config.yaml; leave out {name}, or start a new run"
            )
