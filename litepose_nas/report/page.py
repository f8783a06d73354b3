"""A report as files: tables, pictures, and one HTML page that holds all of it and needs nothing else."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from litepose_nas import files
from litepose_nas.report import choices, drawing, plots
from litepose_nas.report.frame_costs import per_frame
from litepose_nas.report.genes import Fitted
from litepose_nas.report.summary import Summary, to_json
from litepose_nas.search import baselines
from litepose_nas.search.problem import Evaluated

PAGE = "report.html"
SHOWN = 3  # effects of a gene's choices in the table
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2733; background: #fff; margin: 2em auto; max-width: 1100px;
  padding: 0 1em } h1 { font-size: 1.5em } h2 { font-size: 1.2em; margin-top: 2em } table { border-collapse: collapse }
th, td { text-align: left; padding: .25em .9em .25em 0; border-bottom: 1px solid #e3e7eb }
td.number { text-align: right; font-variant-numeric: tabular-nums } .note { color: #4c6378 }
.wide { overflow-x: auto } code { font-size: .88em }
"""


def pictures(found: Summary) -> dict[str, str]:
    """Return every picture of a report as SVG text, by the name of its file."""
    past = found.past
    title = f"{past.problem.space.name}: {len(past.found)} networks"
    front = plots.picture(past.found, found.budget, found.chosen, title, _axis(past.by), found.selection.noise)
    made = {
        "front.svg": front,
        "choices.svg": choices.picture(found.front, found.budget),
        "architecture.svg": drawing.drawing(found.chosen.arch, past.joints, "The chosen network"),
    }
    if found.models:
        made["kinds.svg"] = choices.bars(found.models.kinds, "Which kinds of choices matter", past.by)
        made["genes.svg"] = choices.bars(found.models.genes, "Which choices matter", past.by)
    return made


def write(found: Summary, folder: Path) -> list[Path]:
    """Write front.csv, front.json, the pictures and report.html into a folder, and return their paths."""
    drawn = pictures(found)
    with files.replacing(folder / "front.csv") as temporary:
        write_csv(temporary, found)
    texts = {"front.json": json.dumps(to_json(found), indent=2) + "\n", **drawn, PAGE: page(found, drawn)}
    return [folder / "front.csv", *write_texts(texts, folder)]


def write_texts(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write texts into files of these names, each whole or not at all, and return their paths."""
    for name, text in texts.items():
        with files.replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def write_csv(path: Path, found: Summary) -> None:
    """Write the front as a table, a line each network."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        lines = to_json(found)["front"]
        table.writerow([*lines[0], "noise"])
        for line in lines:
            cells = [json.dumps(value) if isinstance(value, dict) else value for value in line.values()]
            table.writerow([*cells, found.selection.noise])


def page(found: Summary, drawn: dict[str, str]) -> str:
    """Return the whole page, with the pictures in it."""
    past = found.past
    title = escape(f"Search of {past.problem.space.name}")
    limits = ", ".join(limit.text for limit in found.budget.limits) or "none"
    body = [
        f"<h1>{title}</h1>",
        f"<p>{len(past.found)} networks evaluated, ranked by {_word(past.by)}; budget {escape(limits)}. "
        f'<span class="note">From <code>{escape(str(past.journal))}</code></span></p>',
        drawn["front.svg"],
        "<h2>Was it worth searching?</h2>",
        bullets(baselines.in_words(found.compared, past.by)),
        "<h2>The front</h2>",
        _front(found),
        "<h2>What the budget buys</h2>",
        f'<div class="wide">{drawn["choices.svg"]}</div>',
        "<h2>What matters</h2>",
        *_models(found.models, drawn, past.by),
        "<h2>The chosen network</h2>",
        f'<div class="wide">{drawn["architecture.svg"]}</div>',
        *_frames(found),
        f"<p><code>{escape(json.dumps(found.chosen.arch.to_dict()))}</code></p>",
    ]
    return document(title, body)


def document(title: str, body: Sequence[str]) -> str:
    """Return a page of HTML that needs nothing else."""
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
        words = ", ".join(f"{value}: {effect - middle:+.2g}" for value, effect in best)
        rows.append([escape(gene.name), f"{100 * gene.gained:.1f} %", f"{100 * gene.lost:.1f} %", escape(words)])
    head = [
        "choice",
        "explained beside costs",
        "and by nothing else",
        f"what its best options add to {_axis(by)}, costs equal",
    ]
    return [bullets(said), drawn["kinds.svg"], drawn["genes.svg"], table(head, rows)]


def _front(found: Summary) -> str:
    expected, numbers = found.models.expected if found.models else {}, {}
    for at, one in enumerate(found.past.found):
        numbers[one.arch] = at

    def row(one: Evaluated) -> list[str]:
        at, guess = numbers[one.arch], expected.get(numbers[one.arch])
        mark = " (chosen)" if one.arch == found.chosen.arch else ""
        size = "x".join(map(str, one.arch.input))
        cells = [f"{at + 1}{mark}", size, f"{found.budget.macs(one.cost) / 1e6:,.1f}", f"{one.cost.params:,}"]
        return [*cells, f"{one.score:.4f}", "" if guess is None else f"{guess:.4f}"]

    head = ["evaluation", "input", "MMAC", "params", "score", "expected by a model that has not seen it"]
    return table(head, map(row, found.front))


def _frames(found: Summary) -> list[str]:
    head, rows = per_frame(found.chosen.arch, found.past.joints)
    return ["<h3>Frame by frame</h3>", table(head, rows)] if rows else []


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as HTML; its cells are HTML already, its head is not."""
    lines = []
    for row in rows:
        cells = "".join(f'<td class="{"number" if cell[:1].isdigit() else ""}">{cell}</td>' for cell in row)
        lines.append(f"<tr>{cells}</tr>")
    return f"<table><tr>{''.join(f'<th>{escape(word)}</th>' for word in head)}</tr>{''.join(lines)}</table>"


def bullets(lines: Iterable[str]) -> str:
    """Return lines as a list in HTML."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _axis(by: str) -> str:
    return "AP" if by == "ap" else f"minus the {by}"


def _word(by: str) -> str:
    return "AP" if by == "ap" else by
