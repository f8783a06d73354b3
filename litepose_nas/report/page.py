"""A report as files: tables, plots, and one HTML page that holds all of it and needs nothing else."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from litepose_nas import files
from litepose_nas.budget import is_bound, measured_field
from litepose_nas.costs import Cost
from litepose_nas.report import choices, drawing, plots, times, words
from litepose_nas.report.frame_costs import per_frame
from litepose_nas.report.genes import Fitted
from litepose_nas.report.summary import Summary, to_json
from litepose_nas.search import baselines
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.ranking import LOSS, WORDS
from litepose_nas.untrusted.display import in_html

PAGE = "report.html"
SHOWN = 3  # effects of a gene's choices in the table
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2733; background: #fff; margin: 2em auto; max-width: 1100px;
  padding: 0 1em } h1 { font-size: 1.5em } h2 { font-size: 1.2em; margin-top: 2em } table { border-collapse: collapse }
th, td { text-align: left; padding: .25em .9em .25em 0; border-bottom: 1px solid #e3e7eb }
td.number { text-align: right; font-variant-numeric: tabular-nums } .note { color: #4c6378 }
.wide { overflow-x: auto } code { font-size: .88em }
"""


def write(found: Summary, folder: Path) -> list[Path]:
    """Write front.csv, front.json, the plots and report.html into a folder; each of several families has one in it."""
    drawn, told = pictures(found), to_json(found)
    with files.replacing(folder / "front.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        # A family alone has one noise; among several each has its own.
        noise = {} if found.record.several else {"noise": found.selection.noise}
        lines.writerow([*told["front"][0], *noise])
        for line in told["front"]:
            cells = [json.dumps(value) if isinstance(value, dict) else value for value in line.values()]
            lines.writerow([*cells, *noise.values()])
    html = families_page(found, drawn, told) if found.record.several else family_page(found, drawn)
    texts = {"front.json": json.dumps(told, indent=2) + "\n", **drawn, PAGE: html}
    for name, text in texts.items():
        files.write(folder / name, text)
    written = [folder / name for name in ("front.csv", *texts)]
    if found.record.several:
        for one in found.comparison.choices:
            written += write(found.of_family(one.family), folder / one.family)
    return written


def pictures(found: Summary) -> dict[str, str]:
    """Every plot of a report as SVG text, by the name of its file."""
    joints = found.record.families[found.comparison.winner.family].joints
    made = {"front.svg": front_plot(found, _axis(found.by))}
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


def family_page(found: Summary, drawn: dict[str, str]) -> str:
    title = in_html(f"Search of {found.chosen.arch.space.name}")
    limits = ", ".join(limit.text for limit in found.budget.limits) or "none"
    body = [
        f"<h1>{title}</h1>",
        f"<p>{len(found.found)} networks evaluated, ranked by {_word(found.by)}; budget {in_html(limits)}"
        f"{_ops(found)}. {_source(found)}</p>",
        drawn["front.svg"],
        "<h2>Was it worth searching?</h2>",
        bullets(baselines.in_words(found.baselines, found.by)),
        "<h2>The front</h2>",
        _front(found),
        *_measured(found),
        "<h2>What the budget buys</h2>",
        f'<div class="wide">{drawn["choices.svg"]}</div>',
        "<h2>What matters</h2>",
        *_models(found.models, drawn, found.by),
        "<h2>The chosen network</h2>",
        f'<div class="wide">{drawn["architecture.svg"]}</div>',
        *_frames(found),
        f"<p><code>{in_html(json.dumps(found.chosen.arch.to_dict()))}</code></p>",
    ]
    return document(title, body)


def families_page(found: Summary, drawn: dict[str, str], told: dict[str, Any]) -> str:
    """The page of several families, with the plots in it and links to their own pages."""
    limits = ", ".join(limit.text for limit in found.budget.limits)
    title = in_html(f"Search across {', '.join(found.record.families)}")
    links = [f'<a href="{in_html(one.family)}/{PAGE}">{in_html(one.family)}</a>' for one in found.comparison.choices]
    fronts = []
    for one, line in zip(found.front, told["front"], strict=True):
        macs = [f"{number / 1e6:,.1f}" for number in (found.budget.macs(one.cost), line["macs_of_a_run"])]
        params, took = f"{one.cost.params:,}", times.cells(found, one)
        fronts.append([in_html(line["family"]), *macs, params, *took, f"{one.score:.4f}"])
    body = [
        f"<h1>{title}</h1>",
        f"<p>{len(found.found)} networks, budget {in_html(limits)} a picture{_ops(found)}; "
        f"{in_html(words.rule(found))}. "
        f"{_source(found)}</p>",
        bullets(words.verdict(found)),
        table(words.head(found), [[in_html(cell) for cell in row] for row in words.table(found)]),
        drawn["front.svg"],
        *(["<h2>How many people are in a picture?</h2>", drawn["people.svg"]] if found.people else []),
        "<h2>The front</h2>",
        table(["family", "MMAC of a picture", "of a run", "params", *times.heads(found), "AP"], fronts),
        *_measured(found),
        "<h2>The chosen network</h2>",
        f'<div class="wide">{drawn["architecture.svg"]}</div>',
        f"<p>What matters in each family: {', '.join(links)}</p>",
    ]
    return document(title, body)


def _ops(found: Summary) -> str:
    return f"; op set {in_html(found.record.ops)}" if found.record.ops else ""


def _source(found: Summary) -> str:
    return f'<span class="note">From <code>{in_html(str(found.record.journal))}</code></span>'


def document(title: str, body: Sequence[str]) -> str:
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{chr(10).join(body)}\n</body></html>\n'


def _models(models: Fitted | None, drawn: dict[str, str], by: str) -> list[str]:
    if models is None:
        return ['<p class="note">Too few networks were evaluated to fit a model of the scores.</p>']
    said = [
        f"of the variance of left-out scores, a linear model of choices and costs explains {models.explained:.0%}, "
        f"one of the costs alone {models.by_cost:.0%}",
        f"the model that ranks better is the {models.model}: with what cost explains taken out, Kendall's tau of its "
        f"left-out predictions is {models.tau:.2f}",
    ]
    rows = []
    for gene in models.genes:
        middle = sum(effect for _, effect in gene.effects) / len(gene.effects)
        best = sorted(gene.effects, key=lambda pair: -pair[1])[:SHOWN]
        options = ", ".join(f"{value}: {effect - middle:+.2g}" for value, effect in best)
        rows.append([in_html(gene.name), f"{100 * gene.gained:.1f} %", f"{100 * gene.lost:.1f} %", in_html(options)])
    head = [
        "choice",
        "explained beside costs",
        "and by nothing else",
        f"what its best options add to {_axis(by)}, costs equal",
    ]
    return [bullets(said), drawn["kinds.svg"], drawn["genes.svg"], table(head, rows)]


def _front(found: Summary) -> str:
    expected, numbers = found.models.expected if found.models else {}, {}
    for at, one in enumerate(found.found):
        numbers[one.arch] = at

    def row(one: Evaluated) -> list[str]:
        at, guess = numbers[one.arch], expected.get(numbers[one.arch])
        mark = " (chosen)" if one.arch == found.chosen.arch else ""
        size = "x".join(map(str, one.arch.input))
        cells = [f"{at + 1}{mark}", size, f"{found.budget.macs(one.cost) / 1e6:,.1f}", f"{one.cost.params:,}"]
        return [*cells, *times.cells(found, one), f"{one.score:.4f}", "" if guess is None else f"{guess:.4f}"]

    head = [
        "evaluation",
        "input",
        "MMAC",
        "params",
        *times.heads(found),
        "score",
        "expected by a model that has not seen it",
    ]
    return table(head, map(row, found.front))


def _measured(found: Summary) -> list[str]:
    said, (head, rows) = times.in_words(found), times.table(found)
    return ["<h2>Measured again</h2>", bullets(said), *([table(head, rows)] if rows else [])] if said else []


def _frames(found: Summary) -> list[str]:
    (family,) = found.record.families.values()
    head, rows = per_frame(found.chosen.arch, family.joints)
    return ["<h3>Frame by frame</h3>", table(head, rows)] if rows else []


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as HTML; its cells are HTML already, its head is not."""
    lines = []
    for row in rows:
        cells = "".join(f'<td class="{"number" if cell[:1].isdigit() else ""}">{cell}</td>' for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    return f"<table><tr>{''.join(f'<th>{in_html(word)}</th>' for word in head)}</tr>{''.join(lines)}</table>"


def bullets(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{in_html(line)}</li>' for line in lines)}</ul>"


def _axis(by: str) -> str:
    return f"minus the {WORDS[by]}" if by == LOSS else WORDS[by]


def _word(by: str) -> str:
    return WORDS[by]
