"""What went wrong, where, and the way out: the one exception a user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake that the user can mend: its text names the cause, the place and the way out."""


class FaultError(Exception):
    """A fault of the program in a run; its cause is what was raised."""

    def __init__(self, folder: Path, again: str):
        super().__init__(f"{folder}: ended with a fault of the program")
        self.folder, self.again = folder, again  # the run, and the command that continues it


class AssumedWarning(UserWarning):
    """What had to be assumed, because a file does not say it."""


def nearest(word: object, known: Iterable[object]) -> str:
    """A hint that names the known word closest to a misspelt one, or lists what is known."""
    names = [str(name) for name in known]
    lowered = {name.lower(): name for name in reversed(names)}
    close = difflib.get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f"did you mean {lowered[close[0]]!r}?"
    return f"known: {', '.join(names)}" if names else "nothing is known here"
