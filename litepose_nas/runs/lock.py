"""A lock that says who holds it, so that two processes never write one run, and a dead one's lock can be taken over."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.untrusted.opening import open_in_place

if sys.platform != "win32":
    import fcntl

MOST_PID = 2**31


class HeldError(UserError):
    """A living process is in the lock."""


def take(path: str | Path) -> None:
    """Write this process into a lock file, or say which living process is in it."""
    with _alone(Path(path)) as handle:
        holder = _read(handle)
        if holder and _lives(holder):
            raise HeldError(
                f"{Path(path).parent}: process {holder['pid']} on {holder['host']} is writing here; wait for it or "
                f"stop it (if it is gone for good, delete {path})"
            )
        _write(handle, _me())


def give_back(path: str | Path) -> None:
    """Empty a lock file that this process holds; another's stays as it is."""
    if Path(path).exists():
        with _alone(Path(path)) as handle:
            if _read(handle) == _me():
                _write(handle, None)


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Open the file with nobody else in here meanwhile.

    The kernel's lock guards these few lines only and not the run: held for long, it would be inherited by data-loading
    workers and outlive a killed parent.
    """
    try:
        handle = open_in_place(path, os.O_RDWR)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); mend the rights, or remove it") from error
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    except OSError as error:
        raise UserError(f"{path}: writing failed ({error.strerror or error}); make room and try again") from error
    finally:
        os.close(handle)


def _me() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": platform.node(), "started": _started(os.getpid())}


def _lives(holder: dict[str, Any]) -> bool:
    """Whether the process may still run; one on another host may, for nobody here can tell."""
    if holder["host"] != platform.node() or os.name != "posix":
        return True
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _started(holder["pid"]) == holder["started"]  # else the number has been given to a newer process


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine did, where the system tells."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _read(handle: int) -> dict[str, Any] | None:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        holder = json.loads(os.read(handle, 4096))
    except (ValueError, RecursionError):  # empty, cut by a full disk, or damaged: nobody got in
        return None
    return holder if _is_holder(holder) else None


def _is_holder(value: Any) -> bool:
    if not isinstance(value, dict) or not {"pid", "host", "started"} <= value.keys():
        return False
    known = isinstance(value["host"], str) and isinstance(value["started"], str | None)
    return known and type(value["pid"]) is int and 0 < value["pid"] < MOST_PID


def _write(handle: int, holder: dict[str, Any] | None) -> None:
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, json.dumps(holder).encode() if holder else b"")
