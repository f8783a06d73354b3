"""A network written in a format, run in that format's runtime, and kept if it gives torch's outputs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from litepose_nas import files, partial
from litepose_nas.errors import UserError, WriteError
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.parity import Parity, compare_on, joints_apart, largest_difference
from litepose_nas.exporters.table import Format
from litepose_nas.runtimes.table import runtime_of


class Checked(NamedTuple):
    """Where a file was run, how far its outputs are from torch's, or why it was not run."""

    runtime: str
    parity: Parity | None
    why_not: str = ""


def export(what: Exported, path: Path, format: Format) -> Checked:
    with staged(path, format) as first:
        return write_checked(what, first, format)


@contextmanager
def staged(path: Path, format: Format) -> Iterator[Path]:
    """Give a path of the same name in a folder beside; all that lies there moves into place once all is well."""
    if path.is_dir() and not _is_package(path, format):
        raise UserError(f"{path}: a folder; name a file with --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder, mark = partial.claim(path.with_name(f"{path.name}.files"), folder=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        first = folder / path.name
        yield first
        _move(folder, first, path)
    finally:
        partial.remove(folder)
        partial.release(mark)


def _move(folder: Path, first: Path, path: Path) -> None:
    try:
        others = sorted(file for file in folder.iterdir() if file != first)
        for file in (*others, first):  # who finds the first finds all
            target = path.with_name(file.name)
            if file.is_dir() and target.exists():
                shutil.rmtree(target)
            file.replace(target)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_checked(what: Exported, path: Path, format: Format) -> Checked:
    """Write the files of a format, and beside them a JSON that says what they are if they cannot say it themselves."""
    try:
        format.write(what, path)
    except OSError as error:
        raise _unwritable(path.name, error) from error
    checked = _check(what, path, format)
    if not format.describes_itself:
        said = {**what.meta, "outputs": list(what.outputs), "checked": checked._asdict()}
        files.write(path.with_name(f"{path.name}.json"), json.dumps(said, indent=1) + "\n")
    return checked


def _unwritable(path: object, error: OSError) -> WriteError:
    return WriteError(f"{path}: cannot be written ({files.reason(error)}); choose another place with --out")


def _is_package(path: Path, format: Format) -> bool:
    """Whether a folder is what an earlier export in this format has left."""
    return path.name.endswith(format.suffix) and (path / "Manifest.json").is_file()


def _check(what: Exported, path: Path, format: Format) -> Checked:
    if format.why_not_run:
        return Checked(format.runtime, None, format.why_not_run)
    runtime = runtime_of(format.runtime)
    try:
        runtime.check_installed()
    except UserError as error:
        return Checked(runtime.name, None, str(error))
    images = [what.images(batch) for batch in format.batches]
    parity = compare_on(what.net, format.open(path), images, joints_apart if what.decodes else largest_difference)
    parity.check(path.name, runtime.name, format.tolerance)
    return Checked(runtime.name, parity)
