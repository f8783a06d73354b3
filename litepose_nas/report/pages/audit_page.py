"""The page of an audit: inherited scores against those of networks trained alone."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.report import audit
from litepose_nas.report.audit import Net, Ranking
from litepose_nas.report.pages.html import Block, PageContent
from litepose_nas.runs import journal
from litepose_nas.runs.journal import DAMAGED
from litepose_nas.runs.run import Run
from litepose_nas.search.ranking import ranked_by
from litepose_nas.space import Space

FEWEST = 4  # networks that are compared
THIRDS = ("cheap", "middle", "dear")


def content(run: Run) -> PageContent:
    nets, total, space = _nets(run)
    seeds = run.settings["seeds"]
    about = [
        f"{len(nets)} of {total} networks of {space}, each trained alone {seeds} times for {run.settings['steps']:,} "
        f"steps; the supernet is {run.settings['supernet']}. From {run.folder}"
    ]
    title = f"Audit of a supernet of {space}"
    if len(nets) < FEWEST:
        lines = [f"Fewer than {FEWEST} networks are trained so far: nothing can be compared yet."]
        return PageContent(title, about, [{"is": "text", "lines": lines}])
    found = audit.rank(nets)
    head, rows = audit.table(found)
    truth = {"ap": "AP", "loss": "loss"}[found.by]
    blocks: list[Block] = [
        {"is": "list", "title": f"Against the {truth} of networks trained alone", "lines": audit.verdict(found)},
        {"is": "table", "head": head, "rows": rows},
        _dots(found),
        {
            "is": "text", "soft": True,
            "lines": ["In brackets: the middle 95 % of bootstrap draws. Read the column inside strata first."],
        },
    ]  # fmt: skip
    return PageContent(title, about, blocks)


def _dots(found: Ranking) -> Block:
    by = ranked_by([net.inherited for net in found.nets])
    words = {"ap": "AP", "loss": "minus the loss"}
    order = sorted(found.nets, key=lambda net: net.cost.macs)
    groups: list[dict[str, Any]] = [{"name": f"{name} in MACs", "points": []} for name in THIRDS]
    for place, net in enumerate(order):
        x, ys = audit.number(net.inherited, by), [audit.number(one, found.by) for one in net.alone]
        name = f"{net.cost.macs / 1e6:,.1f} MMAC: inherited {x:.4g}, alone {', '.join(f'{y:.4g}' for y in ys)}"
        groups[len(THIRDS) * place // len(order)]["points"].append([x, fmean(ys), name])
    return {
        "is": "dots", "title": "Each network", "groups": groups,
        "x": f"{words[by]}, inherited weights", "y": f"{words[found.by]}, trained alone",
    }  # fmt: skip


def _nets(run: Run) -> tuple[list[Net], int, str]:
    """The networks that are trained with every seed, how many there are to be, and their space."""
    read = journal.read(run.journal)
    try:
        space = Space(read.header["tree"], str(read.header["space"]))
        archs = [space.arch(one) for one in read.header["archs"]]
        return audit.of_records(read.records, archs, int(read.header["seeds"])), len(archs), space.name
    except DAMAGED as error:
        raise UserError(f"{run.journal}: no journal of an audit ({error!r:.80}); name the run of one") from error
