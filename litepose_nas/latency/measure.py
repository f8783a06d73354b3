"""Measuring networks of spaces on this machine: what is measured becomes samples."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from litepose_nas.blocks.graph import Graph
from litepose_nas.errors import UserError
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

ROOT = str(Path(__file__).parents[2])  # the runtimes of torch import this project

BLOCKS, BLOCKS_OF_A_NETWORK = 250, 6  # measured alone, at most: in all, and for each network
BLOCK_ROUNDS = 3  # at least
BLOCKS_TIME = 0.2  # of all the time

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
) -> LatencySamples:
    """Measure what the journal does not hold yet, and return all of it; with `write_graph` blocks alone as well."""
    subjects = [Subject(str(each.arch), (1, *_shape(each.arch)), each.role == ANCHOR) for each in networks]

    def written(i: int, path: Path) -> None:
        try:
            write(networks[i].arch, path)
        except UserError:
            raise
        except Exception as error:  # a converter's: whatever it stumbled over, the other networks may go through
            raise LostError(f"not converted, {type(error).__name__}: {error}"[:500]) from error

    target = target._replace(imports=ROOT)
    try:
        blocks = _blocks(networks, target, write_graph, suffix, journal, minutes, joints, show) if write_graph else []
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
        tuple(blocks),
    )


def _shape(arch: Arch) -> tuple[int, ...]:
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
    """Blocks of the networks, each alone. A measurement that is stopped here begins with them again."""
    chosen = choose_blocks(networks, joints, min(BLOCKS, BLOCKS_OF_A_NETWORK * len(networks)), 0)
    times = next((record["blocks"] for record in journal.records if "blocks" in record), None)
    if times is None:
        seconds, folder, begun = BLOCKS_TIME * 60 * minutes, journal.path.with_suffix(".blocks"), time.perf_counter()
        try:
            files = [(folder / f"{i}{suffix}", (1, *part.reads)) for i, (_, part) in enumerate(chosen)]
            for (path, _), (_, part) in zip(files, chosen, strict=True):
                write(part_graph(part), path)

            def shown(done: int) -> None:
                show(time.perf_counter() - begun, 60 * minutes, f"{len(chosen)} blocks alone, round {done}")

            found = measure_blocks(files, target, seconds - (time.perf_counter() - begun), BLOCK_ROUNDS, shown)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        times = {str(i): list(took) for i, took in found.items()}
        journal.append({"blocks": times, "seconds": time.perf_counter() - begun})
    return [BlockSample(arch, part.name, *times[str(i)]) for i, (arch, part) in enumerate(chosen) if str(i) in times]
