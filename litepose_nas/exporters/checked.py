"""A network written in a format, run in that format's runtime, and kept if it gives torch's outputs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

from litepose_nas import files
from litepose_nas.errors import UserError
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.parity import Parity, compare_on
from litepose_nas.exporters.table import Format
from litepose_nas.runtimes.table import runtime_of


class Checked(NamedTuple):
    """Where a file was run, how far its outputs are from torch's, or why it was not run."""

    runtime: str
    parity: Parity | None
    why_not: str = ""


def export(what: Exported, path: Path, format: Format) -> Checked:
    """Write the files of a format, and beside them a JSON that says what they are if they cannot say it themselves."""
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, path.name)
        format.write(what, first)
        checked = _check(what, first, path, format)
        if not format.describes_itself:
            said = {**what.meta, "outputs": list(what.outputs), "checked": checked._asdict()}
            Path(folder, f"{path.name}.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        others = sorted(file for file in Path(folder).iterdir() if file != first)
        for file in (*others, first):  # who finds the first finds all
            files.write(path.with_name(file.name), file.read_bytes())
    return checked


def _check(what: Exported, written: Path, path: Path, format: Format) -> Checked:
    runtime = runtime_of(format.runtime)
    try:
        runtime.check_installed()
    except UserError as error:
        return Checked(runtime.name, None, str(error))
    parity = compare_on(what.net, format.open(written), [what.images(batch) for batch in format.batches])
    parity.check(path, runtime.name)
    return Checked(runtime.name, parity)
