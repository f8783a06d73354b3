"""Measuring many small networks in few processes: the blocks of networks, each alone, before the networks."""

from __future__ import annotations

import random
import shutil
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

from .children import Child, Target
from .errors import LostError
from .rounds import check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from .rounds import MeasuringJournal, Write

TOGETHER = 32  # in a process
VISIT = 0.02  # seconds, at least, that a block is run when its turn comes
LEAST_ROUNDS = 3
SHARE = 0.2  # of all the time


class BlockTimes(NamedTuple):
    ms: float  # the least call
    cpu_ms: float


def measure_blocks(
    shapes: Sequence[tuple[int, ...]],
    target: Target,
    write: Write,
    suffix: str,
    journal: MeasuringJournal,
    minutes: float,
    show: Callable[[float, int], None] = lambda seconds, done: None,
) -> dict[int, BlockTimes]:
    """Measure what the journal does not hold yet, in rounds of random order, and return all of it.

    `shapes` are of what goes into each; those of a process that ends are left out.
    """
    if not any("blocks_done" in record for record in journal.records):
        folder = journal.path.with_suffix(".blocks")
        try:
            _measure(shapes, target, write, suffix, folder, journal, minutes, show)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        journal.append({"blocks_done": True})
    return _times(journal.records)


def _measure(
    shapes: Sequence[tuple[int, ...]],
    target: Target,
    write: Write,
    suffix: str,
    folder: Path,
    journal: MeasuringJournal,
    minutes: float,
    show: Callable[[float, int], None],
) -> None:
    last = time.perf_counter()
    before = [record["seconds"] for record in journal.records if "blocks" in record]
    done, begun = len(before), last - sum(before)
    lost = _lost(journal.records)
    left = [i for i in range(len(shapes)) if i not in lost]
    for i in left:
        write(i, folder / f"{i}{suffix}")
    alive: dict[Child, list[int]] = {}

    def lose(child: Child) -> None:
        journal.append({"blocks_lost": alive.pop(child)})

    with ExitStack() as stack:
        for at in range(0, len(left), TOGETHER):
            bundle = left[at : at + TOGETHER]
            files = [(folder / f"{i}{suffix}", shapes[i]) for i in bundle]
            alive[stack.enter_context(closing(Child(target, *files)))] = bundle
        for child in list(alive):
            try:
                check_version(journal, target, child.opened())
            except LostError:
                lose(child)
        while alive and (done < LEAST_ROUNDS or time.perf_counter() - begun < 60 * SHARE * minutes):
            order = [(child, which, i) for child, bundle in alive.items() for which, i in enumerate(bundle)]
            random.Random(done).shuffle(order)
            times = {}
            for child, which, i in order:
                if child in alive:
                    try:
                        wall, processor = child.visit(VISIT, which)
                        times[str(i)] = [min(wall), min(processor)]
                    except LostError:
                        lose(child)
            now = time.perf_counter()
            journal.append({"blocks": times, "seconds": now - last})
            done, last = done + 1, now
            show(now - begun, done)


def _times(records: Sequence[Mapping[str, Any]]) -> dict[int, BlockTimes]:
    """The least of all rounds."""
    found: dict[int, BlockTimes] = {}
    lost = _lost(records)
    for record in records:
        for key, took in record.get("blocks", {}).items():
            times, i = BlockTimes(*took), int(key)
            least = found.get(i, times)
            if i not in lost:
                found[i] = BlockTimes(min(least.ms, times.ms), min(least.cpu_ms, times.cpu_ms))
    return dict(sorted(found.items()))


def _lost(records: Sequence[Mapping[str, Any]]) -> set[int]:
    return {i for record in records for i in record.get("blocks_lost", ())}
