"""litepose-nas latency fit: measurements to a profile that a search can keep a budget by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.latency.samples import MOST_NOISE
from litepose_nas.latency.standalone import conditions

if TYPE_CHECKING:
    from litepose_nas.latency.fit import FitErrors
    from litepose_nas.latency.profile import SpaceProfile


def fit(
    samples: Annotated[list[Path], typer.Argument(help="What `latency measure` wrote; a profile, to fit it again.")],
    out: Annotated[Path, typer.Option(help="The profile to write.")] = Path("profile.json"),
    processor_time: Annotated[
        bool, typer.Option("--processor-time", help="Fit what calls took of the processor, not of the clock.")
    ] = False,
) -> None:
    """Learn from measured networks how long others take, with an upper bound, and say how good that is.

    Several files of one device, runtime and number of threads make one profile.

    Example: litepose-nas latency fit samples.json --out profile.json
    """
    from litepose_nas.latency import profile as profile_file
    from litepose_nas.report.pages import latency_page

    read = [(str(path), one) for path in samples for one in profile_file.read_samples(path)]
    profile = profile_file.make(read, processor_time)
    profile_file.write(out, profile)
    console.out(f"{profile.words}, one picture at a time")
    for path, one in read:
        for line in conditions.complaints(one.conditions, one.drift, one.noise):
            console.out(f"{path}: {line}")
    for space in profile.spaces:
        _say(space)
    console.out(f"written to {out}, and as a page to {latency_page.write(out)}")
    console.out(f"next: litepose-nas search --latency {out} --budget {profile.spaces[0].fit.typical_ms:.3g}ms")


def _say(space: SpaceProfile) -> None:
    fit = space.fit
    blocks = f" and {fit.blocks} blocks alone" if fit.blocks else ""
    console.out(f"\n{space.space}: {fit.networks} networks{blocks}; model: {fit.model}")
    rows = [_row("this model", fit.errors), _row("MACs alone", fit.baseline)]
    if fit.extremes:
        rows.append(_row("ends of the space", fit.extremes))
    console.table(("of networks left out", "mean error", "within 5 %", "within 10 %", "worst", "bias", "tau"), rows)
    console.out(f"noise of the measurement: {fit.noise:.1%}")
    if fit.no_better:
        console.out("this is no better than MACs alone: a search by MACs finds the same; measure more networks")
    if fit.noise > MOST_NOISE:
        console.out(f"above {MOST_NOISE:.0%} noise nothing is promised: a search refuses a budget in ms")
    else:
        console.out(f"{fit.covered:.0%} of such networks take less than {fit.factor:.3f} times what is predicted")


def _row(name: str, one: FitErrors) -> tuple[str, ...]:
    shares = (f"{value:.1%}" for value in (one.mape, one.within_5, one.within_10, one.worst))
    return (name, *shares, f"{one.bias:+.1%}", f"{one.tau:.3f}")
