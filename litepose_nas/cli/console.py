"""What is printed, and how: results to standard output, errors to standard error, JSON where it was asked for.

Names in files of others may hold codes that a terminal obeys: whatever is printed here is cleaned of them.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from litepose_nas.errors import UserError
from litepose_nas.files import reason
from litepose_nas.untrusted.display import clean, clean_lines

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


class StoppedError(Exception):
    """Somebody stopped a command that says how to go on; a KeyboardInterrupt would end in silence inside typer."""


def open_streams() -> None:
    """Make the standard streams take anything, names that are no UTF-8 too; what goes to a closed one is dropped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def out(text: str = "") -> None:
    with _standard_output():
        sys.stdout.write(clean_lines(text) + "\n")


def flush() -> None:
    """Write what standard output still holds; where Python did so at its end, an error would come too late."""
    with _standard_output():
        sys.stdout.flush()


@contextmanager
def _standard_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # the reader, such as `head`, has gone
        raise
    except OSError as error:
        _drop_standard_output()
        raise UserError(f"standard output: {reason(error)}; send it elsewhere") from error


def _drop_standard_output() -> None:
    """Send what standard output still holds, and all that follows, nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def error(text: str) -> None:
    sys.stderr.write(f"error: {clean_lines(text)}\n")


def as_json(value: Any) -> None:
    with _standard_output():
        sys.stdout.write(json.dumps(value, indent=2).replace("\x7f", "\\u007f") + "\n")


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


def listed(of: tuple[Sequence[str], Sequence[Sequence[object]]]) -> None:
    """Print a table that may be empty, set apart by a line."""
    head, rows = of
    if rows:
        out()
        table(head, rows)


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else clean(str(value))


def short(number: float, unit: str) -> str:
    """A large number as people say it: 0.883 GMAC, 933 MMAC."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor / 10 and (factor > 1e3 or number >= factor):
            return f"{number / factor:.3f} {prefix}{unit}"
    return f"{number:g} {unit}"


def step(line: str) -> None:
    sys.stderr.write(clean_lines(line) + "\n")
    sys.stderr.flush()


@contextmanager
def progress(what: str, unit: str = "images/s") -> Iterator[Callable[[int, int], None]]:
    """Give a function `step(done, total)` that shows a bar on a screen, and a line now and then in a log."""
    if not sys.stderr.isatty():
        yield _milestones(what)
        return
    start = time.perf_counter()
    with live(what, at_once=False) as show:  # there may be nothing to wait for, such as people drawn before
        yield lambda done, total: show(done, total, f"{done / max(time.perf_counter() - start, 1e-3):.1f} {unit}")


@contextmanager
def live(what: str, at_once: bool = True) -> Iterator[Callable[..., None]]:
    """Give a function `show(done, total, text, line)`: a moving bar with the text on a screen, the lines in a log.

    Both are optional: without a text the bar keeps the last one, without a line nothing is added to a log.
    """
    if not sys.stderr.isatty():
        yield lambda done, total, text="", line="": step(line) if line else None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    begun = False
    with _screen(BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(compact=True)) as bars:
        task = bars.add_task(clean(what), total=None, visible=at_once, text="")

        def show(done: int, total: int, text: str = "", line: str = "") -> None:
            nonlocal begun
            if not begun:  # what a run did before it was resumed says nothing of its speed now
                bars.reset(task, completed=done, total=total, visible=True)
                begun = True
            fields: dict[str, Any] = {"text": clean(text)} if text else {}
            bars.update(task, completed=done, total=total, **fields)

        yield show


@contextmanager
def status(what: str) -> Iterator[Callable[[str], None]]:
    """Give a function that shows a text: one changing line on a screen, a line each in a log."""
    if not sys.stderr.isatty():
        yield lambda text: step(f"  {text}")
        return
    from rich.progress import TimeElapsedColumn

    with _screen(TimeElapsedColumn()) as bars:
        task = bars.add_task(clean(what), total=None, text="")
        yield lambda text: bars.update(task, text=clean(text))


def _screen(*columns: ProgressColumn) -> Progress:
    """What draws below the lines that are printed meanwhile, and is gone when it ends."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn
    from rich.table import Column

    rest = TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    name = TextColumn("{task.description}", markup=False)
    # Lines for standard output go above the bar only where that is a screen as well, not into a file or a pipe.
    options: dict[str, Any] = {"transient": True, "redirect_stdout": sys.stdout.isatty()}
    return Progress(SpinnerColumn(), name, *columns, rest, console=Console(stderr=True), **options)


def _milestones(what: str) -> Callable[[int, int], None]:
    said = 0

    def show(done: int, total: int) -> None:
        nonlocal said
        if total and 4 * done // total > said:
            said = 4 * done // total
            step(f"{what}: {done} of {total}")

    return show
