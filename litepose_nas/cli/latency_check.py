"""litepose-nas latency check: whether a profile is still true of the machine at hand."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.errors import UserError

SECONDS = 20.0


def check(
    profile: Annotated[Path, typer.Argument(help="A profile of `latency fit`.")] = Path("profile.json"),
    seconds: Annotated[float, typer.Option(min=0.1, help="How long it may take; five rounds are the least.")] = SECONDS,
    python: Annotated[str, typer.Option(help="The interpreter that has the runtime, as for `latency measure`.")] = "",
) -> None:
    """Measure a few of a profile's networks again, and say whether they still take as long.

    Ends with code 1 where they do not.

    Example: litepose-nas latency check profile.json
    """
    from litepose_nas.latency import profile as profile_file
    from litepose_nas.latency.profiles import NamedProfile
    from litepose_nas.steps.measured_again import measure_again, other_device

    known = NamedProfile(str(profile), profile_file.read(profile))
    if why := other_device(known.profile):
        raise UserError(f"{profile}: {why}; check it there, or measure this device: litepose-nas latency measure")
    with console.live("measuring") as live, tempfile.TemporaryDirectory() as folder:
        found = measure_again(
            known,
            (),
            known.profile.spaces[0].joints,
            Path(folder) / "check.journal",
            seconds / 60,
            console.step,
            lambda done, total, text: live(int(done), int(total), text),
            python,
        )
    drift, then = found.drift, known.profile.runtime_version
    console.out(known.profile.words)
    if found.version != then:
        console.out(f"measured now with {found.version}, and then with {then}")
    console.out(
        f"its networks take {drift.ratio:.3f} times as long as then, each within {drift.spread:.1%} of that; "
        f"noise today {drift.noise:.1%}"
    )
    if drift.doubt:
        console.out(drift.doubt)
    elif drift.moved:
        console.out(
            "that is more than noise: see what else runs, the governor and the temperature, or measure and fit again"
        )
    else:
        console.out("the profile is true of this device")
    if drift.doubt or drift.moved:
        raise typer.Exit(1)
