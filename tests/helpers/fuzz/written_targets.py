"""Datasets that are written anew: what a stranger's file names lead to, inside the new folder and outside of it."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from litepose_nas.data.convert import TO, convert, divide
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError
from tests.helpers import layouts
from tests.helpers.fuzz.target import Target

PICTURE, SECRET = "a.png", b"what nobody should get"
OUT = "out"


def _check(holds: bool, words: str) -> None:
    if not holds:
        raise AssertionError(words)


def _make(folder: Path) -> list[bytes]:
    """A dataset in a folder, with a secret beside it that has a name as pictures have."""
    layouts.picture(folder / "data" / "images" / PICTURE)
    (folder / "secret.png").write_bytes(SECRET)
    (folder / "data" / "secret.png").write_bytes(SECRET)
    document = layouts.document(("a", "left_b", "right_b"))
    for image, name in zip(document["images"], (PICTURE, "d/b.png"), strict=True):
        image["file_name"] = name
    return [json.dumps(document).encode()]


def _names(path: Path) -> list[str]:
    """What pictures are called in a broken file, as far as it can be told."""
    try:
        images = json.loads(path.read_bytes())["images"]
        names = [image["file_name"] for image in images]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
    return [name for name in names if isinstance(name, str)]


def _in_folder(data: Path, names: list[str]) -> str:
    """Put a picture wherever a name leads inside the folder of the pictures."""
    pixels = (data / "images" / PICTURE).read_bytes()
    shutil.rmtree(data / "these", ignore_errors=True)
    for name in names:
        place = os.path.normpath(data / "these" / name.replace("\\", "/"))
        if place.startswith(f"{data}/these/"):
            try:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                Path(place).write_bytes(pixels)
            except (OSError, ValueError):  # no system has such names
                continue
    return "these"


def _in_zip(data: Path, names: list[str]) -> str:
    """Put a picture into a zip under every name, as it stands."""
    pixels = (data / "images" / PICTURE).read_bytes()
    with zipfile.ZipFile(data / "these.zip", "w") as made:
        for name in dict.fromkeys(names):
            info = zipfile.ZipInfo("x")
            info.filename = name.encode("utf-8", "replace").decode() or "x"  # no separator is put right
            made.writestr(info, pixels)
    return "these.zip"


@contextmanager
def _outside_unchanged(folder: Path) -> Iterator[None]:
    """Fail if anything but the new folder was written, or if the secret came into it."""

    def seen() -> dict[str, tuple[int, int]]:
        found = {}
        for place, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if Path(place, name) != folder / OUT]
            for name in files:
                state = os.lstat(os.path.join(place, name))
                found[os.path.join(place, name)] = (state.st_size, state.st_mtime_ns)
        return found

    before = seen()
    try:
        yield
    finally:
        _check(seen() == before, f"written outside: {set(seen().items()) ^ set(before.items())}")
        for path in folder.joinpath(OUT).rglob("*"):
            _check(path.is_dir() or path.stat().st_size != len(SECRET) or path.read_bytes() != SECRET, f"{path} leaked")


def _convert(place: Callable[[Path, list[str]], str], path: Path) -> None:
    """Write the dataset in both layouts: nothing outside, all people there again, or nothing at all."""
    data, folder = path.parent, path.parents[1]
    images = place(data, _names(path))
    (data / "data.yaml").write_text(f"train: {{images: {images}, annotations: people.json}}\n")
    refused: list[UserError] = []
    for to in TO:
        out = folder / OUT
        shutil.rmtree(out, ignore_errors=True)
        try:
            with _outside_unchanged(folder):
                written = convert(open_source(str(data / "data.yaml")), out, to, "copy")
        except UserError as error:
            _check(not out.exists(), f"half of it was written: {error}")
            refused.append(error)
            continue
        again = open_source(str(out / "data.yaml")).read("train")
        _check(len(again.records) == written[0].pictures, "pictures were lost")
        for record in again.records:
            _check(PurePosixPath(str(record.path)).is_relative_to(out), f"{record.path} is outside")
    if len(refused) == len(TO):
        raise refused[0]


def _divide(path: Path) -> None:
    data, folder = path.parent, path.parents[1]
    images = _in_folder(data, _names(path))
    (data / "data.yaml").write_text(f"train: {{images: {images}, annotations: people.json}}\n")
    shutil.rmtree(folder / OUT, ignore_errors=True)
    with _outside_unchanged(folder):
        divide(open_source(str(data / "data.yaml")), folder / OUT, 0.5)
    for name in ("train", "val"):
        open_source(str(folder / OUT / "data.yaml")).read(name)


TARGETS = (
    Target("convert", "data/people.json", "names", _make, partial(_convert, _in_folder)),
    Target("convert-zip", "data/people.json", "names", _make, partial(_convert, _in_zip)),
    Target("split", "data/people.json", "names", _make, _divide),
)
