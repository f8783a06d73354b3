"""The page of a run, of whichever kind it is; what is evaluated was evaluated by the run itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from litepose_nas.errors import UserError
from litepose_nas.report.pages import audit_page, candidates_page, demo_page, html, training_page
from litepose_nas.report.pages.html import FOLDER, PAGE, PageContent
from litepose_nas.runs.run import Run


def _finetuning(run: Run) -> PageContent:
    return candidates_page.content(run) if "candidates" in run.settings else training_page.content(run)


PAGES: Mapping[str, Callable[[Run], PageContent]] = {
    "train-supernet": training_page.content,
    "finetune": _finetuning,
    "audit": audit_page.content,
    "demo": demo_page.content,
}


def write(run: Run, every: float | None = None, folder: Path | None = None) -> Path:
    """Write a run's page; with `every` it loads itself again after so many seconds."""
    verb = str(run.env.get("verb"))
    if verb not in PAGES:
        raise UserError(
            f"{run.folder}: a run of {verb!r:.40}, of which there is no page; name one of {', '.join(PAGES)}"
        )
    path = (folder or run.folder / FOLDER) / PAGE
    html.write(path, PAGES[verb](run), every)
    return path
