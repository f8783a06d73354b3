"""Temporary files and folders beside their target; what a killed writer left goes when the target is written again.

A living writer is known by the kernel's lock on what it writes. Where there are no such locks, nothing is taken away.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PARTIAL = ".partial-"
_LOOK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def claim(target: Path, folder: bool = False) -> tuple[Path, int | None]:
    """Make a temporary file or folder beside a target; the number marks it as in use, until `release`."""
    for number in itertools.count():
        path = target.with_name(f"{PARTIAL}{target.name}.{number}{target.suffix}")
        if_left_over(path, remove)
        try:
            mark = _make_folder(path) if folder else os.open(path, _NEW, 0o600)
        except FileExistsError:  # a living writer's
            continue
        if sys.platform == "win32":  # where what is open cannot be moved into place
            release(mark)
            return path, None
        if mark is not None and _lock(mark) is not False and _same(path, mark):
            return path, mark
        release(mark)  # another writer took it for left over before it was locked
    raise AssertionError("numbers do not end")


def release(mark: int | None) -> None:
    if mark is not None:
        os.close(mark)


def remove(path: Path) -> None:
    """Remove a temporary file or folder that did not become its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _make_folder(path: Path) -> int | None:
    path.mkdir(0o700)
    try:
        return os.open(path, _LOOK) if sys.platform != "win32" else None
    except FileNotFoundError:  # another writer took it for left over
        return None
    except OSError:
        remove(path)
        raise


def if_left_over(path: Path, mend: Callable[[Path], None]) -> None:
    """Do something about what a writer left that is dead; what a living one writes stays as it is."""
    try:
        found = os.open(path, _LOOK)
    except OSError:  # mostly there is nothing
        return
    try:
        if _lock(found) and _same(path, found):  # while this lock is held, nobody else does
            mend(path)
    finally:
        os.close(found)


def _lock(handle: int) -> bool | None:
    """Lock an open file; False where another has it, None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _same(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except OSError:
        return False
