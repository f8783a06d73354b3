"""The graph of a whole network from its plan."""

from __future__ import annotations

from collections.abc import Sequence

from litepose_nas.blocks.block import Part, ceil_div
from litepose_nas.blocks.graph import Feature, Graph
from litepose_nas.costs import readers
from litepose_nas.space import Arch


def unwritten(plan: Sequence[Part]) -> list[str]:
    """The kinds of blocks in a plan that do not say their operations."""
    return sorted({type(part.block).__name__ for part in plan if not hasattr(part.block, "emit")})


def network_graph(arch: Arch, joints: int) -> Graph:
    """What the network of an architecture computes; its outputs are the parts that no other reads, as in `forward`."""
    height, width = arch.input
    plan, graph = arch.plan(joints), Graph(height, width)
    features: dict[str, Feature] = {"": graph.picture}
    unread = dict.fromkeys(part.name for part in plan)
    for part, names in zip(plan, readers(plan), strict=True):
        # A deconv adds a row where an odd height was halved with rounding up; every reader takes it off.
        size = ceil_div(height, part.down), ceil_div(width, part.down)
        graph.at, graph.size = "", size
        for name in names:
            features[name] = graph.crop(features[name], *size)
            unread.pop(name, None)
        graph.at = part.name
        features[part.name] = part.block.emit(graph, *[features[name] for name in names])
    graph.outputs = [features[name] for name in unread]
    return graph
