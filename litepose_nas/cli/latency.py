"""litepose-nas latency: the milliseconds of networks."""

from __future__ import annotations

import shlex
import statistics
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litepose_nas.cli import console, latency_check, latency_fit, latency_kit
from litepose_nas.cli.options import check_alone
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import MOST_JOINTS
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.samples import MOST_NOISE, LatencySamples
from litepose_nas.latency.standalone import conditions
from litepose_nas.space import Space
from litepose_nas.untrusted.display import short

if TYPE_CHECKING:
    from litepose_nas.latency.networks import Chosen
    from litepose_nas.runs.journal import Journal

app = typer.Typer(help="Measure how long the networks of a space take, and learn from it.", no_args_is_help=True)
app.command()(latency_fit.fit)
app.command()(latency_check.check)
app.command()(latency_kit.kit)
BUSY = 1.2  # the median call by the wall clock over the least by the processor's


@app.command()
def measure(
    context: typer.Context,
    spaces: Annotated[list[str] | None, typer.Argument(help="Names from `space list`, or YAML files.")] = None,
    runtime: Annotated[
        str, typer.Option(help="onnxruntime, openvino, ncnn, litert, executorch, torch, torch-cuda or tensorrt.")
    ] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of a network.")] = 1,
    nets: Annotated[int, typer.Option(min=1, max=10_000, help="Networks of each space.")] = 40,
    minutes: Annotated[
        float, typer.Option(min=0.01, help="How long it may take, slow converters aside; five rounds are the least.")
    ] = 4.0,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("samples.json"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished measurement of --out.")] = False,
    joints: Annotated[int, typer.Option(min=1, max=MOST_JOINTS, help="Keypoints of the skeleton.")] = 17,
    python: Annotated[
        str, typer.Option(help="Another interpreter, which has numpy and the runtime; it converts, too, if it can.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same networks.")] = 0,
    rewrites: Annotated[
        bool, typer.Option(help="Cut depthwise kernels above 5x5 into smaller ones: for litert and executorch.")
    ] = False,
) -> None:
    """Measure random networks of a space, and its extremes, in a runtime on this machine. Needs no supernet.

    Leave the machine alone meanwhile: whatever else runs is noise.

    Example: litepose-nas latency measure litepose --runtime onnxruntime --out samples.json
    """
    from litepose_nas.report.pages import latency_page

    journal_path = out.with_name(f"{out.name}.journal")
    if resume:
        check_alone(context, "out", "python")
        journal = _unfinished(journal_path, python)
    else:
        how = (runtime, threads, nets, minutes, joints, python, seed, rewrites)
        journal = _begin(journal_path, out, spaces or [], *how)
    with console.live("measuring") as live:
        try:
            samples = _measure(journal, lambda done, total, text: live(int(done), int(total), text))
        except KeyboardInterrupt:
            named = f" --python {shlex.quote(python)}" if python else ""
            again = f"litepose-nas latency measure --resume --out {out}{named}"
            raise console.StoppedError(f"stopped; go on with: {again}") from None
        except UserError:
            if not any("times" in record for record in journal.records):  # nothing to go on with
                journal_path.unlink()
            raise
    samples_file.write(out, samples)
    journal_path.unlink()
    _summary(samples, out)
    console.out(f"the same as a page: {latency_page.write(out)}")


def _begin(
    path: Path,
    out: Path,
    names: list[str],
    runtime: str,
    threads: int,
    nets: int,
    minutes: float,
    joints: int,
    python: str,
    seed: int,
    rewrites: bool,
) -> Journal:
    """Choose the networks and write them down."""
    from litepose_nas.exporters.measured import REWRITES, check_clips, reading
    from litepose_nas.latency.networks import choose
    from litepose_nas.runs.journal import Journal
    from litepose_nas.runtimes.table import runtime_of

    if path.exists():
        raise UserError(f"{out}: begun already; go on with --resume, or delete {path}")
    if out.exists():
        raise UserError(f"{out}: there is something already, and it stays as it is; name another file with --out")
    if not names:
        raise UserError("latency measure: name a space, such as litepose; `litepose-nas space list` lists them")
    known, rewritten = runtime_of(runtime), list(REWRITES if rewrites else ())
    reading(known, rewritten)
    if not python:
        known.check_installed()
    spaces = [Space.load(name) for name in dict.fromkeys(names)]
    check_clips(spaces, known)
    chosen = choose(spaces, nets, joints, seed)
    header = {
        "measurement": 1,
        "device": conditions.describe_device(),
        **{"runtime": runtime, "threads": threads, "minutes": minutes, "joints": joints},
        **{"python": python, "rewrites": rewritten},
        "spaces": {space.name: samples_file.tree_of(space) for space in spaces},
        "networks": [[each.arch.space.name, each.arch.to_dict(), each.role] for each in chosen],
    }
    return Journal(path, header)


def _unfinished(path: Path, python: str) -> Journal:
    """The journal of a measurement that was stopped, if it is of this machine and of an interpreter named again."""
    from litepose_nas.runs import journal

    if not path.exists():
        raise UserError(f"{path}: nothing to go on with; begin without --resume")
    header = journal.read(path).header
    if "measurement" not in header:
        raise UserError(f"{path}: not the journal of a measurement; name another file with --out")
    if (begun := header.get("python", "")) != python:  # the journal may be a stranger's, and this is a program
        with_it = f"with --python {short(begun)}; name it again beside --resume" if begun else "without --python"
        raise UserError(f"{path}: begun {with_it}")
    own = {key: value for key, value in header.items() if key not in ("journal", "notes")}
    return journal.Journal(path, {**own, "device": conditions.describe_device()})


def _measure(journal: Journal, show: Any) -> LatencySamples:
    from litepose_nas.exporters.conversion import Converter
    from litepose_nas.exporters.measured import MEASURED_FORMATS, reading
    from litepose_nas.latency.measure import measure as measure_networks
    from litepose_nas.latency.standalone.children import Target
    from litepose_nas.runtimes.table import runtime_of

    header = journal.header
    joints, rewrites = header["joints"], header.get("rewrites", [])
    known = reading(runtime_of(header["runtime"]), rewrites)
    target = Target(known.name, known.path, known.pip, header["python"] or sys.executable, header["threads"])
    chosen, form = _networks(header), MEASURED_FORMATS[known.reads]
    with closing(Converter(known, target.python)) as converter:
        slow = converter.slow([each.arch for each in chosen], joints)
        for name, why in slow.items():
            console.step(f"{name}: {why}; files are kept in {converter.kept.folder}")
        samples = measure_networks(
            chosen,
            target,
            lambda arch, path: converter.write(arch, joints, path),
            form.suffix,
            journal,
            header["minutes"],
            joints,
            console.step,
            show,
            form.write_graph,
            bool(slow),
        )
    return samples._replace(rewrites=tuple(rewrites))


def _networks(header: dict[str, Any]) -> list[Chosen]:
    from litepose_nas.latency.networks import Chosen

    spaces = {name: samples_file.space_of(name, tree, "journal") for name, tree in header["spaces"].items()}
    return [Chosen(spaces[name].arch(values), role) for name, values, role in header["networks"]]


def _summary(samples: LatencySamples, out: Path) -> None:
    rows = samples.samples
    times = sorted(row.ms for row in rows)
    what = f"{len(rows)} networks{f', and {len(samples.blocks)} blocks alone,' if samples.blocks else ''}"
    rounds = f"{min(row.rounds for row in rows)} rounds and more"
    console.out(f"{what} in {samples.runtime} {samples.runtime_version}, {samples.threads} thread(s), fp32")
    console.out(f"{times[0]:.2f} to {times[-1]:.2f} ms, median {statistics.median(times):.2f} ms; {rounds}")
    console.out(f"noise {100 * samples.noise:.1f} %: how far a second measurement of a network would be off")
    if told := conditions.in_words(samples.conditions):
        console.out(f"the device: {told}")
    for line in conditions.complaints(samples.conditions, samples.drift, samples.noise):
        console.out(line)
    busy = statistics.median([row.median_ms / row.cpu_ms for row in rows if row.cpu_ms] or [1.0])
    if samples.threads == 1 and busy > BUSY:
        console.out(f"the machine was busy: half of all calls took {busy:.1f} times their processor time and more")
    if samples.noisy:
        console.out(
            f"above {100 * MOST_NOISE:.0f} % nothing can be promised: let nothing else run, and measure again "
            "(the file is written, and says so)"
        )
    console.out(f"written to {out}")
