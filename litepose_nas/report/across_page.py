"""The report of a search across families as files; beside it, one of each family as if it had been searched alone."""

from __future__ import annotations

import csv
import json
from html import escape
from pathlib import Path

from litepose_nas import files
from litepose_nas.report import across_pictures, drawing, page
from litepose_nas.report.across import Summary
from litepose_nas.report.across_words import HEAD, rule, table, to_json, verdict
from litepose_nas.report.summary import summarise


def pictures(found: Summary) -> dict[str, str]:
    """Return every picture as SVG text, by the name of its file."""
    joints = found.across.pasts[found.comparison.winner.family].joints
    made = {
        "front.svg": across_pictures.plane(found),
        "architecture.svg": drawing.drawing(found.comparison.winner.one.arch, joints, "The chosen network"),
    }
    return {**made, "people.svg": across_pictures.crossing(found)} if found.people else made


def write(found: Summary, folder: Path) -> list[Path]:
    """Write report.html, front.csv, front.json and the pictures into a folder, and a folder in it for each family."""
    drawn = pictures(found)
    told = to_json(found)
    with files.replacing(folder / "front.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(told["front"][0])
        for line in told["front"]:
            lines.writerow([json.dumps(value) if isinstance(value, dict) else value for value in line.values()])
    texts = {"front.json": json.dumps(told, indent=2) + "\n", **drawn, page.PAGE: html(found, drawn)}
    written = [folder / "front.csv", *page.write_texts(texts, folder)]
    for one in found.comparison.choices:
        past = found.across.pasts[one.family]
        own = summarise(past, found.picture.budget(found.budget, past.problem.space.task))
        written += page.write(own, folder / one.family)
    return written


def html(found: Summary, drawn: dict[str, str]) -> str:
    """Return the whole page, with the pictures in it and links to the families' own pages beside it."""
    across = found.across
    limits = ", ".join(limit.text for limit in found.budget.limits)
    title = escape(f"Search across {', '.join(across.pasts)}")
    links = [f'<a href="{escape(one.family)}/{page.PAGE}">{escape(one.family)}</a>' for one in found.comparison.choices]
    rows = [[escape(cell) for cell in row] for row in table(found)]
    fronts = []
    for one, line in zip(found.front, to_json(found)["front"], strict=True):
        macs = [f"{number / 1e6:,.1f}" for number in (found.budget.macs(one.cost), line["macs_of_a_run"])]
        fronts.append([escape(line["family"]), *macs, f"{one.cost.params:,}", f"{one.score:.4f}"])
    body = [
        f"<h1>{title}</h1>",
        f"<p>{len(found.found)} networks, budget {escape(limits)} a picture; {escape(rule(found))}. "
        f'<span class="note">From <code>{escape(str(across.journal))}</code></span></p>',
        page.bullets(verdict(found)),
        page.table(HEAD, rows),
        drawn["front.svg"],
        *(["<h2>How many people are in a picture?</h2>", drawn["people.svg"]] if found.people else []),
        "<h2>The front</h2>",
        page.table(["family", "MMAC of a picture", "of a run", "params", "AP"], fronts),
        "<h2>The chosen network</h2>",
        f'<div class="wide">{drawn["architecture.svg"]}</div>',
        f"<p>What matters in each family: {', '.join(links)}</p>",
    ]
    return page.document(title, body)
