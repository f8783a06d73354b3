"""litepose-nas report."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Json
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.report.summary import Summary


def report(
    search: Annotated[str | None, typer.Argument(help="The run of a search, or its journal; the newest.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="Choose again within another budget, and write its subnet.json.")
    ] = None,
    mac_convention: Annotated[str | None, typer.Option(help="exact or litepose; the search's if not given.")] = None,
    people: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Of a search across families: for this many people an image."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write; the run's own `report` if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Tell what a search found, from its journal alone: nothing is evaluated, no weights are read.

    Writes report.html (the front with its noise, what the budget buys, which choices matter, a drawing of the chosen
    network), and each table and picture of it as a file. With --budget it chooses again, into subnet.json.

    Example: litepose-nas report --budget 800MMAC
    """
    from litepose_nas.budget import Budget
    from litepose_nas.formats import subnet_file
    from litepose_nas.report import page, words
    from litepose_nas.report.record import JOURNAL, load_search
    from litepose_nas.report.summary import summarise, to_json
    from litepose_nas.runs.run import Run

    what = search if search is not None else str(Run.latest("search", having=JOURNAL).folder)
    record = load_search(what)
    if people is not None and not record.needs_boxes:
        all_see = f"all networks of {record.folder} see whole pictures, whoever is in them"
        alone = f"{what} is a search of one family, whose budget is of one run of a network"
        raise UserError(f"--people: {all_see if record.several else alone}; leave it out")
    texts = budget or [limit.text for limit in record.budget.limits]
    limits = Budget.of(texts, mac_convention or record.budget.convention, times=record.times)
    workload = record.workload._replace(people=Fraction(str(people))) if people else record.workload
    found = summarise(record, limits, workload, models=True)
    folder = out or record.folder / "report"
    page.write(found, folder)
    again = bool(budget or people)
    if again:
        subnet_file.write("subnet.json", found.subnet(found.chosen))
    if as_json:
        console.as_json(to_json(found))
        return
    if record.cut:
        console.out(f"{record.journal}: its last line is cut in the middle ({record.cut} bytes), and left out")
    if record.several:
        words.say(found, console.out, console.table)
    else:
        _say(found, bool(budget))
    if record.ops:
        console.out(f"every network keeps the op set {record.ops}")
    console.out(f"written to {folder / page.PAGE}, with each table and picture beside it")
    if again:
        _say_next(found)
    elif record.needs_boxes:
        console.out(f"next: litepose-nas report {record.folder} --people {float(2 * workload.people):.3g}")
    elif not record.several:
        console.out(f"next: litepose-nas report {record.folder} --budget {_less(found.chosen.cost.macs)}")


def _say(found: Summary, budget_given: bool) -> None:
    """Print what a search of one family found."""
    from litepose_nas.report import times
    from litepose_nas.report.frame_costs import of_whom, per_frame
    from litepose_nas.report.summary import beyond
    from litepose_nas.search.baselines import in_words

    for line in beyond(found.record, found.budget) if budget_given else []:
        console.out(line)
    chosen, models = found.chosen, found.models
    console.out(f"{len(found.found)} networks of {chosen.arch.space.name}, {len(found.front)} of them on the front")
    for line in in_words(found.baselines, found.by):
        console.out(f"  {line}")
    if models:
        most = ", ".join(f"{one.name} {one.gained:.1%}" for one in models.kinds[:3])
        console.out(
            f"a model of choices and costs explains {models.explained:.0%} of the scores, costs alone "
            f"{models.by_cost:.0%}; beside the costs most is told by: {most}"
        )
    for line in times.in_words(found):
        console.out(line)
    console.listed(times.table(found))
    whom = of_whom(chosen.arch)
    console.out(
        f"best within {', '.join(limit.text for limit in found.budget.limits)}: "
        f"{console.short(chosen.cost.macs, 'MAC')} exact, {console.short(chosen.cost.params, 'params')}"
        f"{times.of_network(found, chosen)}; "
        f"{found.budget.binding(chosen.cost)}{f'; {whom}' if whom else ''}"
    )
    console.listed(per_frame(chosen.arch, found.subnet(chosen).joints))
    for name, words in found.record.devices.items():
        console.out(f"milliseconds of {name}: the network alone, one picture, in {words}")


def _say_next(found: Summary) -> None:
    console.out("written to subnet.json")
    store = Path(str(found.subnet(found.chosen).info.get("supernet", {}).get("path")))
    moved = "" if store.is_file() else " --supernet FILE"
    if moved:
        console.out(f"{store}: the supernet is not there any more; say where it is")
    console.out(f"next: litepose-nas extract subnet.json{moved}")


def _less(macs: int) -> str:
    """Return a budget in which most of a network's MACs fit."""
    return f"{0.8 * macs / 1e9:.1f}GMAC" if macs > 1e9 else f"{0.8 * macs / 1e6:.0f}MMAC"
