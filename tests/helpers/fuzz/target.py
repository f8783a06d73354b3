"""A parser of foreign files as the fuzzer sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple


class Target(NamedTuple):
    """One parser: the file that is broken, what stands around it, and how it is read."""

    name: str
    file: str  # the file that is broken, below a folder
    form: str  # how it is broken: a key of breaking.BREAKERS
    make: Callable[[Path], Sequence[bytes]]  # fills the folder, and gives good contents of the file
    read: Callable[[Path], object]  # reads the file; a UserError alone may come out
    turns: int = 1  # in a round of all targets; more where reading takes long


def texts(*found: str) -> list[bytes]:
    return [text.encode() for text in found]
