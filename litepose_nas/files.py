"""Writing files so that nobody ever finds half of one."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from litepose_nas import partial
from litepose_nas.errors import UserError, WriteError
from litepose_nas.partial import PARTIAL
from litepose_nas.untrusted.opening import open_in_place, open_regular

ASIDE = ".old"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside the target; when all went well it becomes the target, else it vanishes."""

    def move(temporary: Path, target: Path) -> None:
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)

    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary, mark = partial.claim(target)
    except OSError as error:
        raise WriteError(f"{target}: cannot be written ({reason(error)}); choose another place with --out") from error
    with _becoming(temporary, mark, target, move):
        yield temporary


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(encoded(content) if isinstance(content, str) else content)


def encoded(text: str) -> bytes:
    """The bytes of a text; names of files in it that are no UTF-8 are the bytes they were."""
    return text.encode("utf-8", "surrogateescape")


def reason(error: OSError) -> str:
    """Why writing failed, in the system's words, and in plain ones where the disk is full."""
    words = error.strerror or str(error)
    return f"{words}: the disk is full" if error.errno == errno.ENOSPC else words


@contextmanager
def new_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside the target; when all went well it becomes the target, else it vanishes.

    A target that holds anything is refused, unless the new folder shall replace it.
    """

    def move(temporary: Path, target: Path) -> None:
        temporary.chmod(0o777 & ~_umask())
        _move_into_place(temporary, target)

    target = Path(path)
    try:
        _bring_back(target)
        if not replace and target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserError(f"{target}: there is something already, and it stays as it is; name a new folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary, mark = partial.claim(target, folder=True)
    except OSError as error:
        raise WriteError(f"{target}: cannot be written ({reason(error)}); name another place") from error
    with _becoming(temporary, mark, target, move):
        yield temporary


@contextmanager
def _becoming(temporary: Path, mark: int | None, target: Path, move: Callable[[Path, Path], None]) -> Iterator[None]:
    try:
        yield
        move(temporary, target)
    except BaseException as error:
        partial.remove(temporary)
        if isinstance(error, OSError):
            raise WriteError(f"{target}: writing failed ({reason(error)}); nothing was changed") from error
        raise
    finally:
        partial.release(mark)


def _move_into_place(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    aside, mark = partial.claim(_aside(target), folder=True)
    old = aside / target.name
    try:
        target.rename(old)
        temporary.rename(target)  # killed before this, the next writer brings the old one back
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        partial.remove(aside)
        partial.release(mark)


def _aside(target: Path) -> Path:
    """What the place is called after where an old folder lies while the new one moves in."""
    return target.with_name(f"{target.name}{ASIDE}")


def _bring_back(target: Path) -> None:
    """Mend what a writer left that was killed while it put a new folder in the place of an old one."""

    def mend(aside: Path) -> None:
        if not target.exists() and (aside / target.name).exists():
            (aside / target.name).rename(target)
        partial.remove(aside)

    for aside in target.parent.glob(f"{PARTIAL}{glob.escape(target.name)}{ASIDE}.*"):
        partial.if_left_over(aside, mend)


def sweep(folder: str | Path) -> None:
    """Remove what writers that were killed left half written; whoever calls this must be the only writer."""
    for path in Path(folder).rglob(f"{PARTIAL}*"):
        if path.is_file():
            path.unlink(missing_ok=True)


def cut(path: str | Path, size: int) -> None:
    """Leave the first bytes of a file."""
    try:
        handle = open_in_place(path, os.O_WRONLY)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); mend its rights") from error
    try:
        os.ftruncate(handle, size)
    finally:
        os.close(handle)


def append(path: str | Path, data: bytes, keep: bool = False) -> None:
    """Add bytes to the end of a file, all of them or none; with `keep` they are on the disk when this returns."""
    try:
        handle = open_in_place(path, os.O_WRONLY | os.O_APPEND)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({reason(error)}); make room or mend its rights") from error
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
            raise UserError(f"{path}: writing failed ({reason(error)}); what it held before is unchanged") from error
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
