"""Where shipped search spaces, architectures and op sets lie: beside the code in a wheel, at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

from litepose_nas.errors import UserError, nearest


def folder(name: str) -> Path:
    """The folder `search_spaces`, `mobile_configs` or `op_sets` that belongs to this installation."""
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def names(kind: str, suffix: str) -> list[str]:
    """The sorted names of the shipped files of one kind, without their suffix."""
    return sorted(path.stem for path in folder(kind).glob(f"*{suffix}"))


def find(what: str, kind: str, suffix: str) -> Path:
    """The file that a name (of a shipped file) or a path stands for; a file of such a name is ./name."""
    path, shipped = Path(what), names(kind, suffix)
    if what in shipped:
        return folder(kind) / f"{what}{suffix}"
    if path.is_file():
        return path
    hint = nearest(what, shipped)
    if path.suffix == suffix or path.is_dir():
        raise UserError(f"{what!r}: {'a folder, not a file' if path.is_dir() else 'no such file'}; {hint}")
    raise UserError(f"{what!r}: neither a file nor a name in {kind}/; {hint}")
