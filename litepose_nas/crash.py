"""The last handler: an error that nothing has explained becomes one line, and a file with what a report of it needs.

Nothing here may fail: each step that could has a simpler one behind it.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from litepose_nas import files
from litepose_nas.errors import FaultError
from litepose_nas.machine_errors import explained

MISTAKE, FAULT = 2, 70  # exit codes: what a user can mend, and a fault of the program as sysexits.h counts it
FILE = "fault.txt"  # in the folder of a run


def ending(error: Exception) -> tuple[int, str]:
    """The exit code of a command that ended with an error, and the line that says why."""
    known = None
    with suppress(Exception):
        known = explained(error)
    if known is not None:
        return MISTAKE, str(known)
    folder: Path | None = None
    hint, cause = "", error
    if isinstance(error, FaultError):
        folder, hint = error.folder, f"; perhaps it goes on with: {error.again}"
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    place = _written(_report(cause), folder)
    where = f"the traceback is in {place}, please report it with that file" if place else "please report this line"
    return FAULT, f"a fault of litepose-nas: {_in_a_line(cause)}; {where}{hint}"


def _written(report: str, folder: Path | None) -> Path | None:
    """Where the report was put: into a run's folder, else among temporary files, else nowhere."""
    data = report.encode("utf-8", "backslashreplace")
    if folder is not None:
        with suppress(Exception):
            files.write(folder / FILE, data)
            return folder / FILE
    with suppress(Exception):
        handle, name = tempfile.mkstemp(prefix="litepose-nas-fault-", suffix=".txt")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        return Path(name)
    return None


def _report(error: BaseException) -> str:
    parts = [f"litepose-nas ended with a fault of its own.\n\ncommand: {shlex.join(sys.argv)}\nfolder: {_here()}"]
    with suppress(Exception):
        from litepose_nas.runs import environment  # heavy, and needed here alone

        parts.append(json.dumps(environment.describe(), indent=2))
    with suppress(Exception):
        parts.append("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    return "\n\n".join(parts) + "\n"


def _here() -> str:
    with suppress(OSError):
        return os.getcwd()
    return "gone"


def _in_a_line(error: BaseException) -> str:
    """The error and the line of code that raised it; of a worker's traceback, its last line."""
    line, place = type(error).__name__, ""
    with suppress(Exception):
        lines = str(error).strip().splitlines() or [""]
        text = lines[-1] if "Traceback (most recent call last)" in str(error) else lines[0]
        line = "".join(letter if letter.isprintable() else "?" for letter in f"{line}: {text}"[:200])
    with suppress(Exception):
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({Path(last.filename).name}, line {last.lineno})"
    return line + place
