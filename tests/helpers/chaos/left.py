"""What a command left in a folder, without what differs by nature: seconds, times of day, processes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import torch

# Names of files; the page of a training shows how fast it was.
UNEQUAL = {"log.txt", "command.txt", "env.json", "lock", "ended.json", "speed.jsonl", "report.html"}
JOURNALS = {"journal.jsonl", "candidates.jsonl"}
TIMES = {"seconds", "sum", "rounds", "created", "measured", "ms", "median_ms", "cpu_ms", "noise", "drift", "conditions"}


def left_in(folder: Path) -> dict[str, str]:
    """A digest of each file by its path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.name not in UNEQUAL:
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(_comparable(path)).hexdigest()[:16]
    return found


def _comparable(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        if path.name in JOURNALS:  # of several workers, evaluations end in any order
            return "\n".join(sorted(repr(_untimed(json.loads(line))) for line in data.splitlines())).encode()
        if path.suffix == ".csv":
            rows = csv.DictReader(io.StringIO(data.decode()))
            return repr([{key: value for key, value in row.items() if key not in TIMES} for row in rows]).encode()
        if path.suffix == ".json":
            return repr(_untimed(json.loads(data))).encode()
        if path.suffix == ".pt":  # equal states may be pickled in other bytes
            return repr(plain(torch.load(path, map_location="cpu", weights_only=True))).encode()
    except (ValueError, RuntimeError, pickle.UnpicklingError):
        return b"unreadable " + data
    return data


def plain(value: Any) -> Any:
    """A value with digests of its tensors, so that it can be compared."""
    if isinstance(value, torch.Tensor):
        data = value.reshape(-1).view(torch.uint8).numpy().data
        return str(value.dtype), tuple(value.shape), hashlib.sha256(data).hexdigest()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(inner) for key, inner in value.items() if key not in TIMES}
    return [_untimed(inner) for inner in value] if isinstance(value, list) else value


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """The files that are missing, new or other."""
    return sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
