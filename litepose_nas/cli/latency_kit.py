"""litepose-nas latency kit: a folder that measures networks on another device."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import MOST_JOINTS
from litepose_nas.space import Space

if TYPE_CHECKING:
    from litepose_nas.latency.kit import Named
    from litepose_nas.space import Arch


def kit(
    spaces: Annotated[list[str] | None, typer.Argument(help="Names from `space list`, or YAML files.")] = None,
    front: Annotated[
        Path | None, typer.Option(help="A search's run: also the networks of its front, and the chosen one.")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="onnxruntime, openvino, ncnn, litert, executorch or tensorrt.")
    ] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of a network.")] = 1,
    nets: Annotated[int, typer.Option(min=1, max=10_000, help="Networks of each space.")] = 40,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long measuring may take there.")] = 10.0,
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("kit"),
    joints: Annotated[
        int | None, typer.Option(min=1, max=MOST_JOINTS, help="Keypoints of the skeleton: 17, or those of --front.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same networks.")] = 0,
    python: Annotated[str, typer.Option(help="Another interpreter, which has a slow converter.")] = "",
    rewrites: Annotated[
        bool, typer.Option(help="Cut depthwise kernels above 5x5 into smaller ones: for litert and executorch.")
    ] = False,
) -> None:
    """Make a folder to copy to a Pi, a Jetson or another computer, which measures networks there.

    It holds their files, one `run.py`, and a README.txt that says what to do. The device needs Python 3.8, numpy and
    the runtime, and nothing of this project. What it measures comes back as samples.json, for `latency fit`. Needs no
    trained supernet; with --front it also tells how long the networks take that a search found.

    Example: litepose-nas latency kit litepose --runtime ncnn --threads 4 --out pi5
    """
    from litepose_nas.exporters.conversion import Converter
    from litepose_nas.exporters.measured import MEASURED_FORMATS, REWRITES, check_clips, reading
    from litepose_nas.latency.fit import FEWEST
    from litepose_nas.latency.kit import write_kit
    from litepose_nas.latency.standalone.children import Target
    from litepose_nas.runtimes.table import runtime_of

    rewritten = REWRITES if rewrites else ()
    known = reading(runtime_of(runtime), rewritten)
    if known.package == "torch":
        raise UserError(
            f"--runtime {runtime} needs the whole of this project; install it on the device, and run there: "
            "litepose-nas latency measure"
        )
    if not spaces and front is None:
        raise UserError("latency kit: name a space, such as litepose, or the run of a search with --front")
    networks, joints = _networks(spaces or [], front, nets, joints, seed)
    check_clips({each.chosen.arch.space for each in networks}, known)
    form = MEASURED_FORMATS[known.reads]
    target = Target(known.name, known.path, f"pip install numpy {known.device_wheel}", "", threads)
    with (
        closing(Converter(known, python or sys.executable)) as converter,
        console.progress("writing networks", "networks/s") as show,
    ):
        for name, why in converter.slow([each.chosen.arch for each in networks], joints).items():
            console.step(f"{name}: {why}; files are kept in {converter.kept.folder}")
        size = write_kit(
            out,
            networks,
            target,
            joints,
            minutes,
            lambda arch, path: converter.write(arch, joints, path),
            form.write_graph,
            form.suffix,
            rewritten,
            console.step,
            show,
        )
    console.out(f"{len(networks)} networks in {out}, {size / 1e6:.1f} MB")
    if len(networks) < FEWEST:
        console.out(f"`latency fit` needs {FEWEST} of a space; name the space, too, for a profile")
    console.out(f"next: copy {out} to the device, and follow its README.txt")


def _networks(spaces: list[str], run: Path | None, nets: int, joints: int | None, seed: int) -> tuple[list[Named], int]:
    """The networks of a kit, anchors first, and their joints."""
    from litepose_nas.latency.kit import Named
    from litepose_nas.latency.networks import Chosen, choose_of_spaces, with_anchors
    from litepose_nas.latency.samples import RANDOM

    found, own = _front(run) if run else ({}, joints or 17)
    if joints not in (None, own):
        raise UserError(f"--joints {joints}: the networks of {run} have {own}; leave it out")
    chosen = {arch: Chosen(arch, RANDOM) for arch in found}
    for each in choose_of_spaces([Space.load(name) for name in dict.fromkeys(spaces)], nets, own, seed):
        chosen.setdefault(each.arch, each)
    ordered = with_anchors(list(chosen.values()), own)
    names = (found.get(each.arch, f"{each.arch.space.name} {i + 1}") for i, each in enumerate(ordered))
    return [Named(name, each) for name, each in zip(names, ordered, strict=True)], own


def _front(run: Path) -> tuple[dict[Arch, str], int]:
    """The networks of a search's front by the names of their files, the chosen one among them, and their joints."""
    from litepose_nas.report.record import load_search
    from litepose_nas.report.summary import summarise

    found = summarise(load_search(run))
    names = {one.arch: f"front/subnet-{i}" for i, one in enumerate(found.front)}
    chosen = found.chosen.arch
    return {**names, chosen: f"{names.get(chosen, '')} (chosen)".strip()}, found.subnet(found.chosen).joints
