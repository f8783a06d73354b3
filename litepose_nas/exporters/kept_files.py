"""Files that took long to make, kept in the user's cache folder under a digest of all that decides what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import files
from litepose_nas.errors import UserError

CACHE_FOLDER = "LITEPOSE_NAS_CACHE"  # the environment variable that names another folder
MOST_BYTES = 4 << 30


class KeptFiles(NamedTuple):
    folder: Path
    most_bytes: int = MOST_BYTES

    def get(self, key: str, path: Path) -> bool:
        """Copy what is kept under a key to a path; return False if nothing is."""
        kept = self.folder / f"{key}{path.suffix}"
        try:
            os.utime(kept)  # used now: others go first
            source = kept.open("rb")
        except OSError:
            return False
        with source, files.replacing(path) as temporary, temporary.open("wb") as target:
            shutil.copyfileobj(source, target)
        return True

    def put(self, key: str, path: Path) -> None:
        """Keep a copy of a file; the least lately used go where all together become too large."""
        try:
            with files.replacing(self.folder / f"{key}{path.suffix}") as temporary:
                shutil.copyfile(path, temporary)
        except UserError as error:
            raise UserError(f"{self.folder}: cannot be written ({error}); name another with {CACHE_FOLDER}") from error
        self._make_room()

    def _make_room(self) -> None:
        found = []
        for path in self.folder.iterdir():  # also what writers that were killed left half written
            with suppress(FileNotFoundError):  # another process makes room, too
                found.append((path.stat().st_mtime, path.stat().st_size, path))
        excess = sum(size for _, size, _ in found) - self.most_bytes
        for _, size, path in sorted(found)[:-1]:
            if excess > 0:
                path.unlink(missing_ok=True)
                excess -= size


def digest(decides: Any) -> str:
    """A key, from data that JSON can hold."""
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def cache_folder() -> Path:
    """The folder of this program below the user's caches."""
    if named := os.environ.get(CACHE_FOLDER):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "litepose-nas"
