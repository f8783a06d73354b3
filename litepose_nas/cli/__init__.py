"""The command line: each file holds one group of verbs, a thin layer of flags over a library call.

Nothing heavy is imported here: torch only inside the verbs that need it, so that --help is immediate.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from litepose_nas import __version__
from litepose_nas.cli import (
    audit,
    console,
    data,
    demo,
    doctor,
    finetune,
    latency,
    profile,
    report,
    search,
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
    """Run the command line; a user's mistake ends with one message and exit code 2."""
    _let_waiting_threads_sleep()
    try:
        with warnings.catch_warnings():
            # What had to be assumed of the data is a note to the user; Python would print a line of our source with it.
            warnings.filterwarnings("default", category=AssumedWarning)
            shown = warnings.showwarning
            warnings.showwarning = lambda message, category, *rest: (
                console.step(f"note: {message}") if category is AssumedWarning else shown(message, category, *rest)
            )
            app()
    except UserError as error:
        console.error(str(error))
        sys.exit(2)
    except console.StoppedError as stopped:
        console.error(str(stopped))
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        sys.exit(0)
