"""The graph of a whole network from its plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from litepose_nas.blocks.block import Part, ceil_div
from litepose_nas.blocks.graph import Feature, Graph
from litepose_nas.costs import readers
from litepose_nas.families.family import ClipFrame
from litepose_nas.space import Arch


class WrittenPart(NamedTuple):
    """A part of a graph: what goes in, and what comes out."""

    part: Part
    size: tuple[int, int]  # of what it works on
    inputs: tuple[Feature, ...]
    made: Feature


def unwritten(plan: Sequence[Part]) -> list[str]:
    """The kinds of blocks in a plan that do not say their operations."""
    return sorted({type(part.block).__name__ for part in plan if not hasattr(part.block, "emit")})


def network_graph(arch: Arch, joints: int, input: tuple[int, int] | None = None) -> Graph:
    """What the network of an architecture computes; its outputs are the parts that no other reads, as in `forward`.

    Pictures have the architecture's own size unless another (height, width) is given. Of a clip it is what the networks
    of all frames compute, one after the other, and the output is all heatmaps.
    """
    return written_parts(arch, joints, input)[0]


def written_parts(arch: Arch, joints: int, input: tuple[int, int] | None = None) -> tuple[Graph, list[WrittenPart]]:
    """The graph of a network, and its parts in order."""
    plan, clip, (height, width) = arch.plan(joints), arch.clip, input or arch.input
    graph = Graph(height, width, len(clip))
    reads = dict(zip([part.name for part in plan], readers(plan), strict=True))
    features: dict[str, Feature] = {"": graph.picture}
    written: list[WrittenPart] = []
    found: list[Feature] = []
    for number, frame in enumerate(clip or [ClipFrame("", "")]):
        if clip:
            features[""] = graph.frame(number)
        for part in plan:
            if part.name.startswith(frame.parts):
                written.append(_write(graph, part, [features[name] for name in reads[part.name]], height, width))
                features[part.name] = written[-1].made
        last = written[-1].part.name
        if frame.added:
            features[last] = graph.add(features[last], found[-1])
        found.append(features[last])
    read = {name for names in reads.values() for name in names}
    answers = [features[part.name] for part in plan if part.answers or part.name not in read]
    graph.outputs = [graph.stack(found)] if clip else answers
    return graph, written


def _write(graph: Graph, part: Part, inputs: Sequence[Feature], height: int, width: int) -> WrittenPart:
    size = ceil_div(height, part.down), ceil_div(width, part.down)
    graph.at, graph.size = part.name, size
    made: Feature = part.block.emit(graph, *inputs)
    graph.at = ""
    if not made.tokens and made.shape[1:] == (2 * size[0], 2 * size[1]):
        # Where an odd size was halved with rounding up, a deconv adds a row that no reader takes.
        made = graph.crop(made, ceil_div(2 * height, part.down), ceil_div(2 * width, part.down))
    return WrittenPart(part, size, tuple(inputs), made)
