"""litepose-nas report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.cli import across, console
from litepose_nas.cli.options import Json
from litepose_nas.errors import UserError


def report(
    search: Annotated[str | None, typer.Argument(help="The run of a search, or its journal; the newest.")] = None,
    budget: Annotated[
        list[str] | None, typer.Option(help="Choose again within another budget, and write its subnet.json.")
    ] = None,
    mac_convention: Annotated[str | None, typer.Option(help="exact or litepose; the search's if not given.")] = None,
    people: Annotated[
        float | None, typer.Option(min=0.01, max=1000, help="Of a search across families: for so many a picture.")
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
    from litepose_nas.report import page
    from litepose_nas.report.across import is_across
    from litepose_nas.report.frame_costs import of_whom, per_frame
    from litepose_nas.report.reread import JOURNAL, reread
    from litepose_nas.report.summary import beyond, summarise, to_json
    from litepose_nas.runs.run import Run
    from litepose_nas.search.baselines import in_words

    what = search if search is not None else str(Run.latest("search", having=JOURNAL).folder)
    if is_across(what):
        return across.report(what, budget, mac_convention, people, out, as_json)
    if people is not None:
        raise UserError(
            f"--people: {what} is a search of one family, whose budget is of one run of a network; leave it out"
        )
    past = reread(what)
    own = past.problem.budget
    texts = budget or [limit.text for limit in own.limits]
    limits = Budget.of(texts, mac_convention or own.convention)
    found = summarise(past, limits)
    folder = out or past.folder / "report"
    page.write(found, folder)
    if budget:
        subnet_file.write("subnet.json", past.subnet(found.chosen))
    if as_json:
        console.as_json(to_json(found))
        return
    if past.cut:
        console.out(f"{past.journal}: its last line is cut in the middle ({past.cut} bytes), and left out")
    for line in beyond(past, limits) if budget else []:
        console.out(line)
    console.out(f"{len(past.found)} networks of {past.problem.space.name}, {len(found.front)} of them on the front")
    for line in in_words(found.compared, past.by):
        console.out(f"  {line}")
    if found.models:
        most = ", ".join(f"{one.name} {one.gained:.1%}" for one in found.models.kinds[:3])
        console.out(
            f"a model of choices and costs explains {found.models.explained:.0%} of the scores, costs alone "
            f"{found.models.by_cost:.0%}; beside the costs most is told by: {most}"
        )
    cost, whom = found.chosen.cost, of_whom(found.chosen.arch)
    console.out(
        f"best within {', '.join(texts)}: {console.short(cost.macs, 'MAC')} exact, "
        f"{console.short(cost.params, 'params')}; {limits.binding(cost)}{f'; {whom}' if whom else ''}"
    )
    console.listed(per_frame(found.chosen.arch, past.joints))
    console.out(f"written to {folder / page.PAGE}, with each table and picture beside it")
    if not budget:
        console.out(f"next: litepose-nas report {past.folder} --budget {_less(found.chosen.cost.macs)}")
        return
    console.out("written to subnet.json")
    store = Path(str(past.info.get("supernet", {}).get("path")))
    moved = "" if store.is_file() else " --supernet FILE"
    if moved:
        console.out(f"{store}: the supernet is not there any more; say where it is")
    console.out(f"next: litepose-nas extract subnet.json{moved}")


def _less(macs: int) -> str:
    """Return a budget in which most of a network's MACs fit."""
    return f"{0.8 * macs / 1e9:.1f}GMAC" if macs > 1e9 else f"{0.8 * macs / 1e6:.0f}MMAC"
