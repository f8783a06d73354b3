"""A simple top-down network: one branch of inverted bottlenecks and two plain deconvs (after Xiao et al., ECCV 2018).

The output, at a quarter of the input: one heatmap a joint of the one person the picture was cut out for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.deconv import Deconv, HeatmapConv
from litepose_nas.blocks.stem import Stem
from litepose_nas.families.family import Family
from litepose_nas.families.shared import check_list, check_stages, heatmaps, mbconv_stages, run_stages
from litepose_nas.task_kind import TaskKind

STRIDES = (2, 2, 2)
STEM_WIDTH = 16  # of the stem's two inner convolutions
KERNEL = 4  # of the deconvs


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: stem, three stages down to a sixteenth, two deconvs up to a quarter, the heatmaps."""
    check_stages(tree.stages, len(STRIDES))
    check_list("head", tree.head, 2)
    yield Part("stem", 1, Stem(STEM_WIDTH, tree.stem))
    ends, down = yield from mbconv_stages(tree.stages, STRIDES, tree.stem, 2)
    width = ends[-1][1]
    for i, head in enumerate(tree.head):
        yield Part(f"head.{i}", down, Deconv(width, head.width, KERNEL))
        width, down = head.width, down // 2
    yield Part("heatmaps", down, HeatmapConv(width, joints))


def forward(net: Any, image: Any, after: Callable[[int, Any], Any] | None = None) -> tuple[Any, ...]:
    """The heatmaps of a batch of cut-outs; `after` may change the feature behind a stage of that number."""
    x, sizes = run_stages(net.stages, net.stem(image), after)
    return (heatmaps(net, x, sizes),)


FAMILY = Family("simple_topdown", plan, forward, ("heatmaps",), TaskKind.TOPDOWN, stages=len(STRIDES))
