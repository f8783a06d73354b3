"""Opening files that a stranger may have prepared: a pipe is waited for without end, a device read without end.

Every refusal is an OSError, so that it is told like that of any other file which cannot be opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_TEXT = 1 << 20  # bytes of a text that people write, such as YAML
_NO_WAIT, _NO_LINK, _BINARY = (getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY"))
_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def kind_of(mode: int) -> str:
    """What something is that is no regular file, in a word."""
    return next((word for is_one, word in _KINDS if is_one(mode)), "a device")


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file to read its bytes; a link is followed, and must lead to one."""
    _check(os.stat(path), path)  # before it is opened: some devices act when they are
    handle = os.open(path, os.O_RDONLY | _NO_WAIT | _BINARY)
    try:
        _check(os.fstat(handle), path)
    except OSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def read_bytes(path: str | Path, most: int = MAX_TEXT) -> bytes:
    with open_regular(path) as file:
        # Python makes room for all that is asked for, so ask for little more than there is; some files of Linux say 0.
        there = max(os.fstat(file.fileno()).st_size, MAX_TEXT)
        data = file.read(min(there, most) + 1)
    if len(data) > most:
        size = f"{most >> 20} MB" if most >> 20 else f"{most} bytes"
        raise OSError(errno.EFBIG, f"larger than {size}, more than is read of such a file", str(path))
    return data


def read_text(path: str | Path, most: int = MAX_TEXT) -> str:
    return read_bytes(path, most).decode("utf-8")


def open_in_place(path: str | Path, flags: int) -> int:
    """A handle of a file that is written where it lies, made if there is none; nothing is written to another place."""
    with contextlib.suppress(FileNotFoundError):
        _check(os.lstat(path), path)
    handle = os.open(path, flags | os.O_CREAT | _NO_LINK | _NO_WAIT | _BINARY, 0o666)
    try:
        state = os.fstat(handle)
        _check(state, path)
        if state.st_nlink > 1:
            raise OSError(errno.EMLINK, "it is a hard link: one file with a name elsewhere", str(path))
    except OSError:
        os.close(handle)
        raise
    return handle


def _check(state: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, f"{kind_of(state.st_mode)}, not a file", str(path))
