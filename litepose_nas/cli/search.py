"""litepose-nas search and extract."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from litepose_nas.cli import across, console
from litepose_nas.cli.options import Data, Device, DryRun, Engine, Out, Resume, Seed, Workers, check_alone
from litepose_nas.cli.session import open_data, resume_hint, unfinished
from litepose_nas.errors import UserError


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
        str, typer.Option(help="By ap or by loss; auto: by AP, but by loss while most APs are too low to tell.")
    ] = "auto",
    objective: Annotated[
        list[str] | None,
        typer.Option(help="What the front keeps low: macs if not given, or params, weight_bytes, peak_bytes."),
    ] = None,
    engine: Engine = None,
    workers: Workers = None,
    people: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Of several: people a picture; the mean of the held-out ones."),
    ] = None,
    detector_macs: Annotated[
        str | None, typer.Option(help="Of several: what finding the people of a picture takes, such as 2GMAC.")
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="Of several: where a detector found people; the true boxes.")
    ] = None,
    min_box_score: Annotated[
        float | None, typer.Option(help="Of these, take boxes from this score on; all if not given.")
    ] = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "auto",
    name: Annotated[str, typer.Option(help="The name of the run.")] = "search",
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
    from litepose_nas.budget import Budget
    from litepose_nas.executors.open_executor import EXECUTORS, ExecutorOptions
    from litepose_nas.formats import subnet_file
    from litepose_nas.runs.run import Run
    from litepose_nas.steps import search as step
    from litepose_nas.steps.common import duration

    if resume:
        check_alone(context, "out", "device", "engine", "workers")
    run = unfinished(step.VERB, out) if resume else None
    if run:
        step.check_resumable(run)
    kept: dict[str, Any] = {"budget": budget, "convention": mac_convention, "seed": seed}
    kept |= {"method": method, "objectives": objective or [], "rank": rank}
    kept |= run.settings if run else {}
    if not kept["budget"]:
        raise UserError("--budget is missing: such as --budget 1.2GMAC; `litepose-nas space show NAME` says the range")
    limits = Budget.of(kept["budget"], kept["convention"])
    way = step.SearchConfig(kept["method"], tuple(kept["objectives"]), rank=kept["rank"])
    way.check()
    choice = ExecutorOptions(
        engine or EXECUTORS[0], workers
    )  # of this machine, not of the run: a run may go on elsewhere
    choice.check()
    several = across.Several(supernet or [], people, detector_macs, boxes, min_box_score)
    if across.is_meant(several, run):
        wishes = across.Wishes(kept, limits, way, choice, evals, data, device, name, out, dry_run)
        return across.search(run, several, wishes)
    trained = step.find_supernet(kept.get("supernet", supernet[0] if supernet else None))
    _reachable(trained, limits)
    done, planned = step.progress_of(trained)
    if done < planned:
        console.out(f"the training of {trained.folder} has not ended: it stands at step {done} of {planned}")
    source = open_data(kept.get("data") or data or trained.settings["data"])
    quick = kept.get("quick", step.is_quick(evals, device))
    setting = step.prepare(trained, source, limits, device, quick)
    if run is None:
        each = step.seconds_each(setting)
        evals = evals or (step.evaluations_in(step.QUICK_MINUTES, each) if quick else step.EVALS)
        more = {"supernet": str(trained.folder), "data": source.name, "evals": evals, "quick": quick}
        if quick:
            console.out("quick preset for a processor: few networks on few pictures; a real search: --evals 200")
        pictures = len(setting.candidates.scorer.split.heldout)
        console.out(
            f"{evals} networks of {setting.problem.space.name}, on {pictures} held-out training pictures: "
            f"about {duration(evals * each / (workers or 1))}"
        )
        if dry_run:
            console.out("nothing was written")
            return
        run = Run.create(step.VERB, name, settings={**kept, **more}, out=out)
    else:
        run = Run.resume(run.folder)

    evals, start, first = int(run.settings["evals"]), time.perf_counter(), 0
    looks = len(setting.candidates.scorer.split.heldout)

    def report(found, number: int) -> None:  # type: ignore[no-untyped-def]
        nonlocal first
        first = first or number  # those before it are from before a resume
        each = (time.perf_counter() - start) / (number - first + 1)
        scores = f"AP {found.result['ap']:.3f}  loss {found.result['loss']:.4f}"
        words = f"{console.short(found.cost.macs, 'MAC')}  {scores}  {looks / each:.1f} images/s"
        line = f"{number}/{evals}  {words}  left {duration((evals - number) * each)}"
        run.log(line)
        show(number, evals, words, line)

    with run, resume_hint(run, step.VERB):
        with console.live("searching") as show:
            found = step.search(run, setting, evals, run.settings["seed"], report, way, choice)
        subnet_file.write("subnet.json", found.subnet)
        run.end()
    _conclude(run.folder, found, limits, way.rank)
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
    console.out("equal to the supernet's network to the bit, then calibrated")
    console.out(f"on the held-out slice: loss {found.scores['loss']:.4f}, AP {found.scores['ap']:.3f}")
    console.out(f"written to {out}")
    console.out(f"next: litepose-nas finetune {out}")


def _reachable(trained, limits) -> None:  # type: ignore[no-untyped-def]
    """Refuse a budget that no network keeps, before any weights or pictures are read."""
    from litepose_nas.steps.train_supernet import WEIGHTS
    from litepose_nas.weights import supernet_space

    limits.check_reachable(supernet_space(trained.folder / WEIGHTS), trained.settings["joints"])


def _conclude(folder: Path, found, limits, rank: str) -> None:  # type: ignore[no-untyped-def]
    from litepose_nas.report.frame_costs import of_whom, per_frame
    from litepose_nas.search.baselines import in_words

    cost, by = found.chosen.cost, found.ranked_by
    if by == "loss" and rank != "loss":
        console.out("ranked by loss: more than half of the networks have an AP below 0.02, which tells nothing yet")
    finals, noise = found.selection.finalists, found.selection.noise
    if noise is not None:
        console.out(
            f"the best {len(finals)} were calibrated and scored {len(finals[0].scores)} times again; of what noise "
            "cannot tell apart the cheapest is chosen"
        )
    for line in in_words(found.compared, by):
        console.out(f"  {line}")
    console.out(f"front of {len(found.results)} networks: {folder / 'front.csv'}, {folder / 'front.svg'}")
    console.out(
        f"best within the budget: {console.short(cost.macs, 'MAC')} exact, "
        f"{console.short(cost.macs_litepose, 'MAC')} as LitePose counts, {console.short(cost.params, 'params')}; "
        f"{limits.binding(cost)}" + (f"; {whom}" if (whom := of_whom(found.chosen.arch)) else "")
    )
    console.listed(per_frame(found.chosen.arch, found.subnet.joints))
