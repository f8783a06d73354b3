"""litepose-nas doctor: is this machine ready?"""

from __future__ import annotations

from pathlib import Path

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Json


def doctor(as_json: Json = False) -> None:
    """Look at Python, torch, accelerators, extras and this folder; exit code 1 if something will not work.

    Example: litepose-nas doctor
    """
    from litepose_nas.doctor import examine

    findings = examine(Path.cwd())
    if as_json:
        console.as_json([finding._asdict() for finding in findings])
    else:
        marks = {True: "ok", False: "FAILS", None: ""}
        console.table(("", "", ""), [(f.what, marks[f.ok], f.state) for f in findings])
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)
