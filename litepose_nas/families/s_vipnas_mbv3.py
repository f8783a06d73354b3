"""S-ViPNAS on MobileNetV3: inverted residuals with groups and gates, then three grouped deconvs (CVPR 2021).

The output, at a quarter of the input: one heatmap a joint of the one person the picture was cut out for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.grouped import GroupedInvertedResidual
from litepose_nas.blocks.groups import check_lanes
from litepose_nas.blocks.stem import StemConv
from litepose_nas.errors import UserError
from litepose_nas.families.family import Family
from litepose_nas.families.shared import check_stages, heatmaps, lane_head, run_stages
from litepose_nas.task_kind import TaskKind

STRIDES = (1, 2, 2, 2, 1, 2)
HSWISH = (False, False, False, True, True, True)  # in place of ReLU, as in MobileNetV3
SQUEEZE = 4  # a gate has a quarter of its channels inside


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: a convolution, a first stage as wide as it, five stages down to a 32nd, three deconvs."""
    check_stages(tree.stages, len(STRIDES))
    yield Part("stem", 1, StemConv(tree.entry.width, tree.entry.kernel, True))
    width, down = tree.entry.width, 2
    for i, (stage, stride) in enumerate(zip(tree.stages, STRIDES, strict=True)):
        # The first stage keeps the entry's width and does not expand it, so all its blocks are residual.
        cout, expands = (width, False) if i == 0 else (stage.width, True)
        mid = cout * stage.expand if expands else width
        where = f"stages.{i}.each"
        check_lanes("entry.width" if i == 0 else f"stages.{i}.width", cout, tree.largest_group)
        if isinstance(stage.each, int) and (tree.largest_group % stage.each or stage.each > tree.largest_group):
            raise UserError(f"{where}: {stage.each} channels are no part of the largest group, {tree.largest_group}")
        groups_min, split = mid // tree.largest_group, tree.largest_group // stage.each
        hidden = stage.attention * (mid // SQUEEZE)
        for j in range(stage.depth):
            block = GroupedInvertedResidual(
                groups_min, tree.largest_group, split, width, cout, stage.kernel, stride if j == 0 else 1,
                i == 0 or j > 0, expands, HSWISH[i], hidden,
            )  # fmt: skip
            yield Part(f"stages.{i}.{j}", down, block)
            if j == 0:
                width, down = cout, down * stride
    check_lanes(f"stages.{len(STRIDES) - 1}.width", width, tree.lanes)
    yield from lane_head(tree, width, down, joints)


def forward(net: Any, image: Any, after: Callable[[int, Any], Any] | None = None) -> tuple[Any, ...]:
    """The heatmaps of a batch of cut-outs; `after` may change the feature behind a stage of that number."""
    x, sizes = run_stages(net.stages, net.stem(image), after)
    halved = [size for size, stride in zip(sizes, STRIDES, strict=True) if stride == 2]
    return (heatmaps(net, x, halved),)


FAMILY = Family("s_vipnas_mbv3", plan, forward, ("heatmaps",), TaskKind.TOPDOWN, stages=len(STRIDES))
