"""An index of the runs in a folder, with a link to the page of each."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from litepose_nas.budget import in_words
from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file
from litepose_nas.report.pages.html import FOLDER, PAGE, Block, PageContent
from litepose_nas.runs import metrics
from litepose_nas.runs.run import ENDED, ENV, Run

INDEX = "index.html"
DEPTH = 4  # folders below the one that is listed: runs/demo/demo/supernet is three
HEAD = ["run", "of", "begun", "state", "result"]


def content(folder: Path) -> PageContent:
    """The newest run first; a folder without runs is refused."""
    runs, odd = [], []
    for path in _found(folder):
        try:
            runs.append(Run.open(path))
        except UserError as error:
            odd.append(str(error))
    if not runs:
        why = f" that can be read: {odd[0]}" if odd else f", nor in the folders in it, {DEPTH} deep"
        raise UserError(f"{folder}: no run in it{why}; name a folder such as runs, or a run")
    runs.sort(key=lambda run: -int(run.env.get("created", 0)))
    rows = [_row(folder, run) for run in runs]
    blocks: list[Block] = [{"is": "links", "head": HEAD, "rows": rows}]
    if odd:
        blocks.append({"is": "list", "title": "Not readable", "lines": odd})
    return PageContent(f"Runs in {folder}", [f"{len(runs)} runs, the newest first."], blocks)


def _found(folder: Path) -> Iterator[Path]:
    """The folders of runs, also of those inside others; links are not followed."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        if ENV in names:
            yield here
        if len(here.relative_to(folder).parts) >= DEPTH:
            folders.clear()


def _row(folder: Path, run: Run) -> list[str | None]:
    where = run.folder.relative_to(folder)
    page = run.folder / FOLDER / PAGE
    address = quote((where / FOLDER / PAGE).as_posix()) if page.is_file() else None
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(int(run.env.get("created", 0)) / 1e9))
    state = "ended" if (run.folder / ENDED).is_file() else "not ended"
    return [where.as_posix(), address, str(run.env.get("verb")), begun, state, _result(run)]


def _result(run: Run) -> str:
    """The figure that tells most of a run, in words; nothing where there is none yet."""
    try:
        if run.env.get("verb") == "search" and (run.folder / "subnet.json").is_file():
            subnet = subnet_file.read(run.folder / "subnet.json")
            ap = (subnet.info.get("score") or {}).get("ap")
            return f"{in_words('macs', subnet.cost.macs)}" + (f", AP {float(ap):.3f}" if ap is not None else "")
        rows = metrics.read(run.folder / "metrics.jsonl")
        checked = [row for row in rows if any(key.endswith("/ap") for key in row)]
        if checked:
            key = next(key for key in checked[-1] if key.endswith("/ap"))
            return f"step {rows[-1]['step']:,}, {key.partition('/')[0]} AP {float(checked[-1][key]):.3f}"
        return f"step {rows[-1]['step']:,}" if rows else ""
    except (UserError, ValueError, TypeError) as error:
        return f"not readable: {str(error)[:80]}"
