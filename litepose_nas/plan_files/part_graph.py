"""The graph of one part of a network, as if it were a network of its own: what it takes alone can be measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from litepose_nas.blocks.block import ceil_div
from litepose_nas.blocks.graph import Feature, Graph
from litepose_nas.costs import readers
from litepose_nas.space import Arch


class LonePart(NamedTuple):
    """A part that reads one feature. Those of equal `block`, `size` and `reads` are the same, wherever they stand."""

    name: str
    block: Any
    size: tuple[int, int]  # of what it works on
    reads: tuple[int, ...]  # the shape of what goes in


def lone_parts(arch: Arch, joints: int) -> Iterator[LonePart]:
    """Parts that read a single map; none where a block does not say its operations."""
    plan, graph = arch.plan(joints), Graph(*arch.input)
    if not all(hasattr(part.block, "emit") for part in plan):
        return
    features: dict[str, Feature] = {"": graph.picture}
    for part, names in zip(plan, readers(plan), strict=True):
        height, width = (ceil_div(side, part.down) for side in arch.input)
        inputs = [graph.crop(features[name], height, width) for name in names]
        graph.at, graph.size = part.name, (height, width)
        features[part.name] = made = part.block.emit(graph, *inputs)
        if len(inputs) == 1 and not inputs[0].tokens and len(inputs[0].shape) == 3 and made != inputs[0]:
            yield LonePart(part.name, part.block, (height, width), inputs[0].shape)


def part_graph(part: LonePart) -> Graph:
    graph = Graph(*part.size)
    graph.picture = Feature(-1, part.reads)
    graph.at = part.name
    graph.outputs = [part.block.emit(graph, graph.picture)]
    return graph
