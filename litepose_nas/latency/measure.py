"""Measuring networks of spaces on this machine: what is measured becomes samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from litepose_nas.errors import UserError
from litepose_nas.latency.networks import Chosen
from litepose_nas.latency.samples import ANCHOR, LatencySample, LatencySamples
from litepose_nas.latency.standalone.children import Target
from litepose_nas.latency.standalone.conditions import describe_device
from litepose_nas.latency.standalone.errors import LostError, MeasuringError
from litepose_nas.latency.standalone.rounds import Say, Show, Subject, measure_in_rounds, times_of
from litepose_nas.runs.journal import Journal
from litepose_nas.space import Arch

ROOT = str(Path(__file__).parents[2])  # the runtimes of torch import this project

Write = Callable[[Arch, Path], None]  # a network's file


def measure(
    networks: Sequence[Chosen],
    target: Target,
    write: Write,
    suffix: str,
    journal: Journal,
    minutes: float,
    joints: int,
    say: Say = lambda text: None,
    show: Show = lambda done, total, text: None,
) -> LatencySamples:
    """Measure what the journal does not hold yet, and return all of it."""
    subjects = [Subject(str(each.arch), (1, 3, *each.arch.input), each.role == ANCHOR) for each in networks]

    def written(i: int, path: Path) -> None:
        try:
            write(networks[i].arch, path)
        except UserError:
            raise
        except Exception as error:  # a converter's: whatever it stumbled over, the other networks may go through
            raise LostError(f"not converted, {type(error).__name__}: {error}"[:500]) from error

    target = target._replace(imports=ROOT)
    try:
        found = measure_in_rounds(subjects, target, written, suffix, journal, minutes, say, show)
    except MeasuringError as error:
        raise UserError(str(error)) from error
    samples = [
        LatencySample(each.arch, role=each.role, **times_of(found.visits[i]))
        for i, each in enumerate(networks)
        if i in found.visits
    ]
    return LatencySamples(
        describe_device(),
        target.runtime,
        found.version,
        target.threads,
        "fp32",
        1,
        joints,
        found.noise,
        samples,
        found.drift,
        tuple(found.conditions),
    )
