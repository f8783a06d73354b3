"""What is printed, and how: results to standard output, errors to standard error, JSON where it was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class StoppedError(Exception):
    """Somebody stopped a command that says how to go on; a KeyboardInterrupt would end in silence inside typer."""


def out(text: str = "") -> None:
    """Print a line of the result."""
    sys.stdout.write(text + "\n")


def error(text: str) -> None:
    """Print what went wrong."""
    sys.stderr.write(f"error: {text}\n")


def as_json(value: Any) -> None:
    """Print a result for machines."""
    out(json.dumps(value, indent=2))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns, numbers to the right, readable in a log as on a screen."""
    cells = [list(map(_text, row)) for row in rows]
    widths = [max(len(line[i]) for line in [list(head), *cells]) for i in range(len(head))]
    right = [all(cell[i][:1].isdigit() for cell in cells) and bool(cells) for i in range(len(head))]
    for line in [list(head), *cells]:
        padded = [
            cell.rjust(width) if r else cell.ljust(width) for cell, width, r in zip(line, widths, right, strict=True)
        ]
        out("  ".join(padded).rstrip())


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def short(number: float, unit: str) -> str:
    """Return a large number as people say it: 0.883 GMAC, 933 MMAC."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor / 10 and (factor > 1e3 or number >= factor):
            return f"{number / factor:.3f} {prefix}{unit}"
    return f"{number:g} {unit}"


def step(line: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function `step(done, total)` that shows a bar on a screen, and a line now and then in a log."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield _milestones(what)
        return
    from rich.console import Console

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(what)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _milestones(what: str) -> Callable[[int, int], None]:
    said = 0

    def step(done: int, total: int) -> None:
        nonlocal said
        if total and 4 * done // total > said:
            said = 4 * done // total
            sys.stderr.write(f"{what}: {done} of {total}\n")

    return step
