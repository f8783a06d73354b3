"""Measuring networks of spaces on this machine: what is measured becomes samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from litepose_nas.blocks.graph import Graph
from litepose_nas.errors import UserError
from litepose_nas.latency import elsewhere
from litepose_nas.latency.block_samples import BlockSample
from litepose_nas.latency.networks import Chosen, choose_blocks
from litepose_nas.latency.samples import ANCHOR, LatencySample, LatencySamples
from litepose_nas.latency.standalone.block_rounds import measure_blocks
from litepose_nas.latency.standalone.children import Target
from litepose_nas.latency.standalone.conditions import describe_device
from litepose_nas.latency.standalone.errors import LostError, MeasuringError
from litepose_nas.latency.standalone.rounds import Subject, measure_in_rounds, times_of
from litepose_nas.plan_files.part_graph import part_graph
from litepose_nas.runs.journal import Journal
from litepose_nas.space import Arch

if TYPE_CHECKING:
    from litepose_nas.latency.standalone.rounds import Say, Show


Write = Callable[[Arch, Path], None]  # a network's file
WriteGraph = Callable[[Graph, Path], None]


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
    write_graph: WriteGraph | None = None,
    slow: bool = False,
) -> LatencySamples:
    """Measure what the journal does not hold yet, and return all of it; with `write_graph` blocks alone as well.

    Where `write` is `slow` its time does not count.
    """
    subjects = [Subject(str(each.arch), (1, *input_shape(each.arch)), each.role == ANCHOR) for each in networks]

    def written(i: int, path: Path) -> None:
        try:
            write(networks[i].arch, path)
        except (UserError, LostError):
            raise
        except Exception as error:  # a converter's: whatever it stumbled over, the other networks may go through
            raise LostError(f"not converted, {type(error).__name__}: {error}"[:500]) from error

    target = target._replace(through=elsewhere.__file__)  # the runtimes of torch import this project
    try:
        blocks = _blocks(networks, target, write_graph, suffix, journal, minutes, joints, show) if write_graph else []
        found = measure_in_rounds(subjects, target, written, suffix, journal, minutes, say, show, slow=slow)
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
        tuple(blocks),
    )


def input_shape(arch: Arch) -> tuple[int, ...]:
    """Of a picture, or of a clip."""
    return *((arch.clip_length,) if arch.clip else ()), 3, *arch.input


def _blocks(
    networks: Sequence[Chosen],
    target: Target,
    write: WriteGraph,
    suffix: str,
    journal: Journal,
    minutes: float,
    joints: int,
    show: Show,
) -> list[BlockSample]:
    """Blocks of the networks, each alone."""
    chosen = choose_blocks(networks, joints)
    times = measure_blocks(
        [(1, *part.reads) for _, part in chosen],
        target,
        lambda i, path: write(part_graph(chosen[i][1]), path),
        suffix,
        journal,
        minutes,
        lambda seconds, done: show(seconds, 60 * minutes, f"{len(chosen)} blocks alone, round {done}"),
    )
    return [BlockSample(chosen[i][0], chosen[i][1].name, *took) for i, took in times.items()]
