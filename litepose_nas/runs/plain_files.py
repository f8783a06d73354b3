"""What may lie in a run: files and folders. A link or a device in somebody else's run leads out of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from litepose_nas.errors import UserError
from litepose_nas.untrusted.opening import kind_of


def check_plain(folder: Path) -> None:
    """Refuse a run in which, however deep, something lies that is neither a file nor a folder."""
    left = [str(folder)]
    while left:
        place = left.pop()
        try:
            modes = _modes(place)
        except OSError as error:
            raise UserError(f"{place}: cannot be looked into ({error.strerror}); mend its rights") from error
        for path, mode in modes.items():
            if stat.S_ISDIR(mode):
                left.append(path)
            elif not stat.S_ISREG(mode):
                raise UserError(
                    f"{path}: {kind_of(mode)}, which a run may not hold, for what is written there would be written "
                    "elsewhere; put a copy in its place, or remove it"
                )


def _modes(folder: str) -> dict[str, int]:
    """What lies in a folder, and of what kind each is; what another process removes meanwhile is left out."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):  # what most are, and the system knows without a look
                    continue
                try:
                    found[entry.path] = entry.stat(follow_symlinks=False).st_mode
                except FileNotFoundError:
                    continue
    except FileNotFoundError:
        pass
    return found
