"""The graph of one part of a network, as if it were a network of its own: what it takes alone can be measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from litepose_nas.blocks.graph import Feature, Graph
from litepose_nas.plan_files.network_graph import unwritten, written_parts
from litepose_nas.space import Arch


class LonePart(NamedTuple):
    """A part that reads one feature. Those of equal `block`, `size` and `reads` are the same, wherever they stand."""

    name: str
    block: Any
    size: tuple[int, int]  # of what it works on
    reads: tuple[int, ...]  # the shape of what goes in


def lone_parts(arch: Arch, joints: int) -> Iterator[LonePart]:
    """Parts that read a single map; none where a block does not say its operations."""
    if unwritten(arch.plan(joints)):
        return
    for part, size, inputs, made in written_parts(arch, joints)[1]:
        if len(inputs) == 1 and not inputs[0].tokens and len(inputs[0].shape) == 3 and made != inputs[0]:
            yield LonePart(part.name, part.block, size, inputs[0].shape)


def part_graph(part: LonePart) -> Graph:
    graph = Graph(*part.size)
    graph.picture = Feature(-1, part.reads)
    graph.at = part.name
    graph.outputs = [part.block.emit(graph, graph.picture)]
    return graph
