"""litepose-nas search and extract."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Data, Device, DryRun, Engine, Name, Ops, Out, Resume, Seed, Workers
from litepose_nas.cli.session import open_data, resumed, running
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.report.summary import Summary
    from litepose_nas.search.problem import Evaluated


def search(
    context: typer.Context,
    supernet: Annotated[
        list[str] | None,
        typer.Argument(help="The run of a supernet; the newest if not given. Of several families: all at once."),
    ] = None,
    budget: Annotated[list[str] | None, typer.Option(help="Such as 1.2GMAC, 2M (parameters), 8MB; all hold.")] = None,
    mac_convention: Annotated[str, typer.Option(help="exact, or litepose as the paper counts.")] = "exact",
    evals: Annotated[int | None, typer.Option(min=1, help="Networks to evaluate.")] = None,
    method: Annotated[str, typer.Option(help="guided (by a model of the scores), nsga2 or random.")] = "guided",
    rank: Annotated[
        str | None,
        typer.Option(
            help="What ranks networks: smoothed-ap (the AP to expect of loss and resolution; default of whole-image "
            "networks), loss (default of others), ap, or auto (ap, or loss while most APs are too low)."
        ),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="What the front keeps low: macs if not given, or params, weight_bytes, peak_bytes, latency_ms."
        ),
    ] = None,
    latency: Annotated[
        list[Path] | None,
        typer.Option(help="A profile of `latency fit`: --budget 25ms or 40fps; of several: --budget PROFILE:25ms."),
    ] = None,
    measure: Annotated[
        bool | None,
        typer.Option("--measure/--no-measure", help="Measure the finalists where a profile's device is this one."),
    ] = None,
    measure_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="How long that may take for each profile (default: 1).")
    ] = None,
    ops: Ops = None,
    engine: Engine = None,
    workers: Workers = None,
    people: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Several supernets: people in an image (default: the held-out mean)."),
    ] = None,
    detector_macs: Annotated[
        str | None, typer.Option(help="Several supernets: MACs of the person detector per image, such as 2GMAC.")
    ] = None,
    detector_ms: Annotated[
        float | None, typer.Option(min=0, help="Several supernets: milliseconds of the person detector per image.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="Several supernets: a file of detected boxes (default: the true boxes).")
    ] = None,
    min_box_score: Annotated[float | None, typer.Option(help="Minimum score of boxes to use (default: all).")] = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "auto",
    name: Name = "search",
    out: Out = None,
    resume: Resume = False,
    dry_run: DryRun = False,
) -> None:
    """Search a trained supernet for the best network within a budget; the whole front comes along.

    Writes subnet.json here, and front.csv, front.svg and every subnet.json of the front into the run's folder.

    Several supernets of different families share the budget, the evaluations and one front; there a budget is of a
    picture with all its people.

    Example: litepose-nas search --budget 1.2GMAC --workers 4
    """
    from litepose_nas.executors.open_executor import EXECUTORS, ExecutorOptions
    from litepose_nas.formats import subnet_file
    from litepose_nas.report import times
    from litepose_nas.steps import around_network, search_plan
    from litepose_nas.steps import search as step
    from litepose_nas.steps.common import duration

    executor = ExecutorOptions(engine or EXECUTORS[0], workers)  # not kept with the run: it may go on elsewhere
    executor.check()
    past = resumed(context, step.VERB, "engine", "workers")
    if past:
        ready = search_plan.load(past, device, open_data, console.out)
    else:
        options = search_plan.SearchOptions(
            supernet or (), budget or (), mac_convention, evals, method, rank, objective or (),
            people=people, detector_macs=detector_macs, boxes=str(boxes) if boxes else None,
            min_box_score=min_box_score, data=data, seed=seed, device=device,
            latency=[str(path) for path in latency or ()], detector_ms=detector_ms,
            measure=measure, measure_minutes=measure_minutes, ops=ops,
        )  # fmt: skip
        ready, each = search_plan.sized(search_plan.plan(options, open_data, console.out))
        if ready.quick:
            console.out("quick preset for a processor: few networks on few pictures; a real search: --evals 200")
        spaces = [one.problem.space.name for one in ready.families.values()]
        total = int(ready.options.evals or 0)
        console.out(
            f"{total} networks of {', '.join(ready.families if ready.several else spaces)}, on {ready.images} held-out "
            f"training pictures: about {duration(total * each / (workers or 1))}"
        )
        if ready.needs_boxes:
            console.out(
                f"a top-down network runs {ready.workload.number} times a picture: for each in it ({ready.people})"
            )
        if dry_run:
            console.out("nothing was written")
            return

    total, start, first = int(ready.options.evals or 0), time.perf_counter(), 0

    def report(family: str, one: Evaluated, number: int) -> None:
        nonlocal first
        first = first or number  # those before it are from before a resume
        each = (time.perf_counter() - start) / (number - first + 1)
        scores = f"AP {one.result['ap']:.3f}  loss {one.result['loss']:.4f}"
        words = f"{console.short(one.cost.macs, 'MAC')}  {scores}  {ready.images / each:.1f} images/s"
        words = f"{family}  {words}" if ready.several else words
        line = f"{number}/{total}  {words}  left {duration((total - number) * each)}"
        run.log(line)
        show(number, total, words, line)

    def measured(done: float, most: float, text: str) -> None:
        show(int(done), int(most), f"measuring again, {text}")

    with running(step.VERB, past, ready.settings, name, out) as run:
        with console.live("searching") as show:
            found = step.search(run, ready, report, executor, console.out, measured)
        subnet_file.write("subnet.json", found.subnet(found.chosen))
    _conclude(run.folder, found, ready.options.rank)
    if found.record.devices:
        console.out(around_network.in_words(around_network.around(found.subnet(found.chosen)), times.alone(found)))
    console.out("written to subnet.json")
    console.out("next: litepose-nas extract subnet.json")


def extract(
    subnet: Annotated[Path, typer.Argument(help="What `search` wrote.")] = Path("subnet.json"),
    data: Data = None,
    supernet: Annotated[str | None, typer.Option(help="The file of the supernet, if it has moved.")] = None,
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="Where to write; beside SUBNET if not given.")] = None,
) -> None:
    """Copy a network out of its supernet, prove it equal, calibrate it.

    Example: litepose-nas extract subnet.json
    """
    from litepose_nas import weights
    from litepose_nas.formats import subnet_file
    from litepose_nas.steps import extract as step
    from litepose_nas.steps.common import needed

    if not subnet.exists():
        raise UserError(f"{subnet}: no such file; make it with: litepose-nas search --budget 1.2GMAC")
    known = subnet_file.read(subnet)
    source = open_data(data or needed(known, str(subnet))["data"])
    with console.status("extracting") as say:
        found = step.extract_subnet(subnet, source, device, supernet, say)
    out = out or subnet.with_suffix(".safetensors")
    weights.save(found.net, out, found.subnet)
    console.out("bitwise equal to the supernet's subnet; BatchNorm recalibrated")
    console.out(f"on the held-out slice: loss {found.scores['loss']:.4f}, AP {found.scores['ap']:.3f}")
    console.out(f"written to {out}")
    console.out(f"next: litepose-nas finetune {out}")


def _conclude(folder: Path, found: Summary, rank: str | None) -> None:
    from litepose_nas.report import times, words
    from litepose_nas.report.frame_costs import of_whom, per_frame
    from litepose_nas.search.baselines import in_words

    if found.record.several:
        words.say(found, console.out, console.table)
        console.out(f"all {len(found.found)} networks: {folder / 'front.csv'}; the best of each: {folder / 'best'}")
        return
    cost, again = found.chosen.cost, list(found.record.families[found.comparison.winner.family].again.values())
    if found.by == "loss" and rank != "loss":
        console.out("ranked by loss: the APs tell nothing yet; most are below 0.02, or they do not rise as losses fall")
    if found.selection.noise is not None:
        console.out(
            f"the best {len(again)} were calibrated and scored {len(again[0])} times again; of what "
            "noise cannot tell apart the cheapest is chosen"
        )
    for line in times.in_words(found):
        console.out(line)
    console.listed(times.table(found))
    for line in in_words(found.baselines, found.by):
        console.out(f"  {line}")
    console.out(f"front of {len(found.found)} networks: {folder / 'front.csv'}, {folder / 'front.svg'}")
    console.out(
        f"best within the budget: {console.short(cost.macs, 'MAC')} exact, "
        f"{console.short(cost.macs_litepose, 'MAC')} as LitePose counts, {console.short(cost.params, 'params')}"
        f"{times.of_network(found, found.chosen)}; "
        f"{found.budget.binding(cost)}" + (f"; {whom}" if (whom := of_whom(found.chosen.arch)) else "")
    )
    console.listed(per_frame(found.chosen.arch, found.subnet(found.chosen).joints))
