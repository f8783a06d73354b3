"""Writing files so that nobody ever finds half of one."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litepose_nas.errors import UserError

PARTIAL = ".partial-"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside the target; when all went well it becomes the target, else it vanishes."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f"{PARTIAL}{target.name}.", suffix=target.suffix)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror}); choose another place with --out") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise UserError(f"{target}: writing failed ({error.strerror or error}); nothing was changed") from error
    finally:
        temporary.unlink(missing_ok=True)


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def new_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside the target; when all went well it becomes the target, else it vanishes.

    A target that holds anything is refused, unless the new folder shall replace it.
    """
    target = Path(path)
    try:
        if not replace and target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserError(f"{target}: there is something already, and it stays as it is; name a new folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{PARTIAL}{target.name}."))
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror}); name another place") from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        _move_into_place(temporary, target)
    except OSError as error:
        raise UserError(f"{target}: writing failed ({error.strerror or error}); nothing was changed") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_into_place(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=PARTIAL))
    old = aside / target.name
    try:
        target.rename(old)
        temporary.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: str | Path) -> None:
    """Remove what writers that were killed left half written; whoever calls this must be the only writer."""
    for path in Path(folder).rglob(f"{PARTIAL}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def append(path: str | Path, data: bytes, keep: bool = False) -> None:
    """Add bytes to the end of a file, all of them or none; with `keep` they are on the disk when this returns."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); make room or mend its rights") from error
    try:
        before = os.fstat(handle).st_size
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
            if keep:
                os.fsync(handle)
        except OSError as error:
            os.ftruncate(handle, before)
            reason = error.strerror or error
            raise UserError(f"{path}: writing failed ({reason}); what it held before is unchanged") from error
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
