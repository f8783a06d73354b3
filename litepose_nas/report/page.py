"""The report of a search as files: tables, plots, and the page that holds all of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from litepose_nas import files
from litepose_nas.budget import is_bound, measured_field
from litepose_nas.costs import Cost
from litepose_nas.report import choices, drawing, example_poses, plots, times
from litepose_nas.report.pages import html, search_page
from litepose_nas.report.pages.html import PAGE
from litepose_nas.report.summary import Summary, to_json
from litepose_nas.search.problem import Evaluated


def write(found: Summary, folder: Path) -> list[Path]:
    """Write front.csv, front.json, the plots and the page into a folder; each of several families has one in it."""
    drawn, told = pictures(found), to_json(found)
    with files.replacing(folder / "front.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        # A family alone has one noise; among several each has its own.
        noise = {} if found.record.several else {"noise": found.selection.noise}
        lines.writerow([*told["front"][0], *noise])
        for line in told["front"]:
            cells = [json.dumps(value) if isinstance(value, dict) else value for value in line.values()]
            lines.writerow([*cells, *noise.values()])
    texts = {"front.json": json.dumps(told, indent=2) + "\n", **drawn}
    for name, text in texts.items():
        files.write(folder / name, text)
    html.write(folder / PAGE, search_page.content(found, drawn, example_poses.read(found.record.folder)))
    written = [folder / name for name in ("front.csv", *texts, PAGE)]
    if found.record.several:
        for one in found.comparison.choices:
            written += write(found.of_family(one.family), folder / one.family)
    return written


def write_live(found: Summary, folder: Path, every: float) -> None:
    """Write the page of a search under way, and nothing else; it loads itself again after so many seconds."""
    html.write(folder / PAGE, search_page.content(found, pictures(found), None), every)


def pictures(found: Summary) -> dict[str, str]:
    """Every plot of a report as SVG text, by the name of its file."""
    joints = found.record.families[found.comparison.winner.family].joints
    made = {"front.svg": front_plot(found, search_page.axis(found.by))}
    if not found.record.several:
        made["choices.svg"] = choices.picture(found.front, found.budget)
    made["architecture.svg"] = drawing.drawing(found.chosen.arch, joints, "The chosen network")
    if found.models:
        made["kinds.svg"] = choices.bars(found.models.kinds, "Which kinds of choices matter", found.by)
        made["genes.svg"] = choices.bars(found.models.genes, "Which choices matter", found.by)
    return {**made, "people.svg": plots.crossing(found)} if found.people else made


def front_plot(found: Summary, score: str) -> str:
    """Everything evaluated; `score` is the title of a family's axis, for several it is AP."""
    if found.record.several:
        return plots.families(found)
    title = f"{found.chosen.arch.space.name}: {len(found.found)} networks"
    time = times.axis(found)
    measured = times.measured_by(found, time)
    noise = found.selection.noise
    return plots.picture(found.found, found.budget, found.chosen, title, score, noise, time, measured)


def write_csv(
    path: str | Path,
    found: Sequence[Evaluated],
    more: Mapping[str, Sequence[object]] | None = None,
    measured: Sequence[Mapping[str, float]] | None = None,
) -> None:
    """Write networks as a table: costs, score, each number that the evaluations found, and the architecture as JSON.

    The columns of `more` come first. `measured` are the times of each network that were measured, by the field with
    their upper bound; where costs have such bounds they have columns of their own.
    """
    more, measured = more or {}, measured or [{}] * len(found)
    keys = (key for one in found for key, value in one.result.items() if not isinstance(value, Mapping))
    extra = [key for key in dict.fromkeys(keys) if key != "score"]
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        fields = found[0].cost._fields if found else Cost._fields
        bounds = list(filter(is_bound, fields))
        table.writerow([*more, *fields, *map(measured_field, bounds), "score", *extra, "arch"])
        for number, one in enumerate(found):
            values = [one.result.get(key, "") for key in extra]
            first = [column[number] for column in more.values()]
            took = [measured[number].get(field, "") for field in bounds]
            table.writerow([*first, *one.cost, *took, one.score, *values, json.dumps(one.arch.to_dict())])
