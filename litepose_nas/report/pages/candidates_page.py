"""The page of a fine-tuning in which several networks of a search compete."""

from __future__ import annotations

from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.report.pages.html import FOLDER, PAGE, Block, PageContent
from litepose_nas.runs import journal
from litepose_nas.runs.journal import DAMAGED
from litepose_nas.runs.run import Run

JOURNAL, TRAININGS = "candidates.jsonl", "candidates"  # what fine-tuning calls them


def content(run: Run) -> PageContent:
    count, steps = int(run.settings["candidates"]), int(run.settings["steps"])
    points = _scores(run)
    best = max((number for number in points if points[number]), key=lambda number: points[number][-1][:2], default=None)
    rows = []
    for number in range(1, count + 1):
        page = f"{TRAININGS}/{number}/finetune/{FOLDER}/{PAGE}"
        address = f"../{page}" if (run.folder / page).is_file() else None
        last = points.get(number) or []
        cells = [f"{last[-1][0]:,}", f"{last[-1][1]:.3f}"] if last else ["", ""]
        rows.append([f"candidate {number}", address, *cells, "farthest" if number == best else ""])
    series = [
        {"name": f"candidate {number}", "points": [[s, y] for s, y in points.get(number, [])]} for number in points
    ]
    blocks: list[Block] = [
        {"is": "links", "title": "Candidates", "head": ["", "trained to step", "AP there", ""], "rows": rows},
        {"is": "curves", "title": "AP on held-out images", "x": "step", "y": "AP", "series": series},
    ]
    about = [f"Candidates of {run.settings['search']}; the best go on, one to step {steps:,}. From {run.folder}"]
    return PageContent(f"Fine-tuning of {count} candidates", about, blocks)


def _scores(run: Run) -> dict[int, list[tuple[int, float]]]:
    """The step and the AP of each candidate, as often as it was judged."""
    path, found = run.folder / JOURNAL, dict[int, Any]()
    try:
        for record in journal.read(path).records if path.is_file() else []:
            ap = record["scores"].get("ap")
            if ap is not None:
                found.setdefault(int(record["candidate"]), []).append((int(record["until"]), float(ap)))
    except DAMAGED as error:
        raise UserError(f"{path}: no journal of candidates ({error!r:.80}); name another run") from error
    return {number: sorted(found[number]) for number in sorted(found)}
