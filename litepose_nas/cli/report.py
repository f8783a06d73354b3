"""litepose-nas report: of a search in words and as a page, of every other run as a page, of a folder as an index."""

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
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(help="A run, a folder of runs, or what `latency` wrote; the newest search if not given."),
    ] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="Of a search: choose again within it, and write its subnet.json.")
    ] = None,
    mac_convention: Annotated[
        str | None, typer.Option(help="Of a search: exact or litepose; its own if not given.")
    ] = None,
    people: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Of a search across families: for this many people an image."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write; the run's own `report` if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Show a run: as one page that works offline, and a search in words as well.

    Nothing is evaluated, and no weights are read. Of a search it writes report.html (the front, each network in detail,
    other budgets), with each table and picture beside it; with --budget it chooses again, into subnet.json. Runs write
    their pages themselves, while they last and at the end. A folder of runs gets an index.

    Example: litepose-nas report --budget 800MMAC
    """
    what = None if run is None else Path(run)
    if what is not None and what.is_dir() and not _is_search(what):
        _check_only_page(context)
        _write_page(what, out)
        return
    if what is not None and what.suffix == ".json" and what.is_file():
        _check_only_page(context)
        from litepose_nas.report.pages import latency_page

        console.out(f"written to {latency_page.write(what, out)}")
        return
    _report_search(run, budget, mac_convention, people, out, as_json)


def _is_search(folder: Path) -> bool:
    """Whether a folder is that of a search; a journal may lie in a folder by itself."""
    from litepose_nas.report.record import JOURNAL
    from litepose_nas.runs.run import ENV, Run

    if (folder / ENV).is_file():
        return Run.open(folder).env.get("verb") == "search"
    return (folder / JOURNAL).is_file()


def _check_only_page(context: typer.Context) -> None:
    """Refuse what is for searches alone."""
    for name, option in (
        ("budget", "--budget"), ("mac_convention", "--mac-convention"), ("people", "--people"), ("as_json", "--json"),
    ):  # fmt: skip
        if context.params[name]:
            raise UserError(f"{option}: is for the run of a search, and {context.params['run']} is none; leave it out")


def _write_page(folder: Path, out: Path | None) -> None:
    """The page of a run that is no search, or the index of a folder."""
    from litepose_nas.report import run_page
    from litepose_nas.report.pages import html, index_page
    from litepose_nas.runs.run import ENV, Run

    if (folder / ENV).is_file():
        console.out(f"written to {run_page.write(Run.open(folder), folder=out)}")
        return
    if out is not None:
        raise UserError(f"--out: the index of {folder} lies in it, for its links are to what is there; leave it out")
    path = folder / index_page.INDEX
    html.write(path, index_page.content(folder))
    console.out(f"written to {path}")


def _report_search(
    search: str | None,
    budget: list[str] | None,
    mac_convention: str | None,
    people: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
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
