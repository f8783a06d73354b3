"""A simple top-down network: one branch of inverted bottlenecks and two plain deconvs (after Xiao et al., ECCV 2018).

The output, at a quarter of the input: one heatmap a joint of the one person the picture was cut out for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.conv import MBConv
from litepose_nas.blocks.deconv import Deconv, HeatmapConv
from litepose_nas.blocks.stem import Stem
from litepose_nas.errors import UserError
from litepose_nas.families.family import Family
from litepose_nas.task_kind import TaskKind

STRIDES = (2, 2, 2)
STEM_WIDTH = 16  # of the stem's two inner convolutions
KERNEL = 4  # of the deconvs


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: stem, three stages down to a sixteenth, two deconvs up to a quarter, the heatmaps."""
    for key, number in (("stages", len(STRIDES)), ("head", 2)):
        found = getattr(tree, key)
        if not isinstance(found, list) or len(found) != number:
            got = len(found) if isinstance(found, list) else "something else"
            raise UserError(f"{key}: expected a list of {number}, got {got}")
    yield Part("stem", 1, Stem(STEM_WIDTH, tree.stem))
    width, down = tree.stem, 2
    for i, (stage, stride) in enumerate(zip(tree.stages, STRIDES, strict=True)):
        if stage.depth < 1:
            raise UserError(f"stages.{i}.depth: expected at least 1, for the first block carries the stride")
        each = stage.blocks if hasattr(stage, "blocks") else [stage] * stage.depth
        for j, block in enumerate(each[: stage.depth]):
            name = f"stages.{i}.{j}"
            if j == 0:
                yield Part(name, down, MBConv(width, width * block.expand, stage.width, block.kernel, stride, False))
                width, down = stage.width, down * stride
            else:  # residual because the plan says so, not because widths happen to be equal
                yield Part(name, down, MBConv(width, width * block.expand, width, block.kernel, 1, True))
    for i, head in enumerate(tree.head):
        yield Part(f"head.{i}", down, Deconv(width, head.width, KERNEL))
        width, down = head.width, down // 2
    yield Part("heatmaps", down, HeatmapConv(width, joints))


def forward(net: Any, image: Any, after: Callable[[int, Any], Any] | None = None) -> tuple[Any, ...]:
    """Return the heatmaps of a batch of cut-outs; `after` may change the feature behind a stage of that number."""
    x = net.stem(image)
    sizes = []
    for number, stage in enumerate(net.stages.children()):
        sizes.append(x.shape[-2:])
        for block in stage.children():
            x = block(x)
        x = after(number, x) if after else x
    for deconv in net.head.children():
        height, width = sizes.pop()
        x = deconv(x)
        if x.shape[-2:] != (height, width):  # what a deconv adds where an odd size was halved with rounding up
            x = x[..., :height, :width]
    return (net.heatmaps(x),)


FAMILY = Family("simple_topdown", plan, forward, ("heatmaps",), TaskKind.TOPDOWN, stages=len(STRIDES))
