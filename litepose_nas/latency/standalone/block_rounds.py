"""Measuring many small networks in few processes: the blocks of networks, each alone."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

from .children import Child, Target
from .errors import LostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TOGETHER = 32  # in a process
VISIT = 0.02  # seconds, at least, that a block is run when its turn comes


class BlockTimes(NamedTuple):
    ms: float  # the least call
    cpu_ms: float


def measure_blocks(
    files: Sequence[tuple[Path, tuple[int, ...]]],
    target: Target,
    seconds: float,
    rounds: int,
    show: Callable[[int], None] = lambda done: None,
) -> dict[int, BlockTimes]:
    """Run each file again and again, in rounds of random order; those of a process that ends are left out."""
    found: dict[int, BlockTimes] = {}
    until, rng = time.perf_counter() + seconds, random.Random(0)
    bundles = [list(range(at, min(at + TOGETHER, len(files)))) for at in range(0, len(files), TOGETHER)]
    with ExitStack() as stack:
        children = {}
        for bundle in bundles:
            child = stack.enter_context(closing(Child(target, *[files[i] for i in bundle])))
            children.update({i: (child, which) for which, i in enumerate(bundle)})
        lost = set()
        for child in {child for child, _ in children.values()}:
            try:
                child.opened()
            except LostError:
                lost.add(child)
        done = 0
        while done < rounds or time.perf_counter() < until:
            order = [i for i, (child, _) in children.items() if child not in lost]
            if not order:
                break
            rng.shuffle(order)
            for i in order:
                child, which = children[i]
                if child in lost:
                    continue
                try:
                    wall, processor = child.visit(VISIT, which)
                except LostError:
                    lost.add(child)
                    continue
                before = found.get(i, BlockTimes(min(wall), min(processor)))
                found[i] = BlockTimes(min(before.ms, *wall), min(before.cpu_ms, *processor))
            done += 1
            show(done)
        return {i: times for i, times in sorted(found.items()) if children[i][0] not in lost}
