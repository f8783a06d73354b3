"""What went wrong, where, and the way out: the one exception a user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

LONGEST = 1400  # letters of a message, so that it fits a screen
_END = 400  # of them, where the way out stands
MOST_NAMES = 30


class UserError(Exception):
    """A mistake that the user can mend: its text names the cause, the place and the way out."""

    def __init__(self, text: str):
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST - _END - 5]} ... {text[-_END:]}")


class WriteError(UserError):
    """A place that cannot be written: who goes on without one file of many must not go on without a disk."""


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
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"known: {', '.join(names[:MOST_NAMES])}{more}" if names else "nothing is known here"
