"""The command line: each file holds one group of verbs, a thin layer of flags over a library call.

Nothing heavy is imported here: torch only inside the verbs that need it, so that --help is immediate.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, TextIO

import typer

from litepose_nas import __version__, crash
from litepose_nas.cli import (
    audit,
    benchmark,
    console,
    data,
    demo,
    doctor,
    finetune,
    latency,
    profile,
    report,
    search,
    ship,
    space,
    train_supernet,
    use,
    weights,
)
from litepose_nas.errors import AssumedWarning, UserError

app = typer.Typer(
    name="litepose-nas",
    help="Find the best human-pose network for a budget.",
    epilog="Start with: litepose-nas demo · litepose-nas space list · litepose-nas profile litepose-xs",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.add_typer(space.app, name="space")
app.add_typer(data.app, name="data")
app.command("train-supernet")(train_supernet.train_supernet)
app.command("search")(search.search)
app.command("audit")(audit.audit)
app.command("report")(report.report)
app.command("extract")(search.extract)
app.command("finetune")(finetune.finetune)
app.command("evaluate")(use.evaluate)
app.command("predict")(use.predict)
app.add_typer(latency.app, name="latency")
app.command("profile")(profile.profile)
app.command("import")(weights.import_)
app.command("export")(weights.export)
app.command("ship")(ship.ship)
app.command("card")(ship.card)
app.command("benchmark")(benchmark.benchmark)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        console.out(f"litepose-nas {__version__}")
        raise typer.Exit


def _let_waiting_threads_sleep() -> None:
    """Keep OpenMP's waiting threads from taking the cores that another run on this machine needs.

    By default they spin for seconds, and two runs at once take two to six times as long as one after the other
    (benchmarks/spinning.py). OpenMP reads this once, when torch is loaded, so it is set here and never in the library.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the best human-pose network for a budget."""


def main() -> None:
    """Run the command line; exit code 2 is for what a user can mend, 130 for stopped, 70 for a fault of the program."""
    _let_waiting_threads_sleep()
    console.open_streams()
    try:
        try:
            with _warnings_as_notes():
                app()
        except SystemExit:
            console.flush()
            raise
    except KeyboardInterrupt:
        sys.exit(130)
    except console.StoppedError as stopped:
        _end(130, str(stopped))
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        _end(*crash.ending(error))


def _end(code: int, line: str) -> None:
    with suppress(OSError, UserError):
        console.flush()
    with suppress(OSError):
        console.error(line)
    sys.exit(code)


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Print what was assumed, and what libraries tell users, as a line each; Python would add a line of source to it.

    Its own warnings, such as of what a later version removes, are for developers: they appear with `python -W`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("default", category=AssumedWarning)
        shown = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, UserWarning):
                console.step(f"note: {' '.join(str(message).split())}")
            elif sys.warnoptions:
                shown(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
