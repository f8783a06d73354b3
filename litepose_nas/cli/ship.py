"""litepose-nas ship and card: a network to take home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Device
from litepose_nas.cli.session import open_data
from litepose_nas.errors import UserError


def ship(
    network: Annotated[str, typer.Argument(help="A .safetensors file.")],
    detector: Annotated[
        str | None, typer.Option(help="A bottom-up network that finds people for a top-down one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write; it must not hold anything.")] = Path("app"),
    web: Annotated[
        Path | None, typer.Option(help="The folder of an unpacked onnxruntime-web; fetched with npm if not given.")
    ] = None,
) -> None:
    """Write an app folder: the model, a Python program for images, videos and cameras, a page for browsers, a card.

    None of it needs torch or this package.

    Example: litepose-nas ship subnet-finetuned.safetensors --out app
    """
    from litepose_nas.steps import ship as step

    with console.status("shipping"):
        done = step.ship(network, detector, out, web)
    for name, parity in done.parities.items():
        apart = f"torch's outputs to {max(parity.difference.values()):.1e}" if parity else "not run"
        console.out(f"{name}.onnx: decodes inside, {apart}")
    console.out(f"written to {done.folder}; try: python {done.folder / 'pose.py'} PHOTO")
    if done.web:
        console.out(f"for browsers, with onnxruntime-web {done.web}: python -m http.server -d {done.folder}")
    else:
        console.out(f"without a page for browsers: {done.why_not}; name an unpacked onnxruntime-web with --web")


def card(
    network: Annotated[str, typer.Argument(help="A .safetensors file.")],
    data: Annotated[
        str | None, typer.Option(help="Make figures on this dataset; those that are saved with it if not given.")
    ] = None,
    split: Annotated[str, typer.Option(help="--data: val, train or test.")] = "val",
    latency: Annotated[list[Path] | None, typer.Option(help="Profiles of `latency fit`: milliseconds.")] = None,
    license: Annotated[str, typer.Option(help="Of the weights, as hubs write it: mit, cc-by-4.0, other.")] = "other",
    data_license: Annotated[str, typer.Option(help="Of the data it was trained on.")] = "not said",
    name: Annotated[str | None, typer.Option(help="What the network is called; its file's name if not given.")] = None,
    device: Device = "auto",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("README.md"),
) -> None:
    """Write a model card: README.md with metadata as hubs expect it, costs, figures with their conditions, data.

    Example: litepose-nas card subnet-finetuned.safetensors --data people
    """
    from litepose_nas import files
    from litepose_nas.report import card as report
    from litepose_nas.steps import card as step

    if out.exists():
        raise UserError(f"{out}: there is something already, and it stays as it is; name another file with --out")
    if data is None and split != "val":
        raise UserError("--split: is for --data; name a dataset with it")
    subnet, _ = step.network_of(network)
    times = step.latencies(subnet, latency or ())
    figures = step.saved_figures(subnet)
    if data is not None:
        source = open_data(data)
        with console.progress("looking") as bar:
            figures = [step.figures_on(network, source, split, device, bar)]
    files.write(out, report.text(name or Path(network).stem, subnet, figures, times, license, data_license))
    console.out(f"written to {out}: {len(figures) or 'no'} set{'s' if len(figures) != 1 else ''} of figures")
