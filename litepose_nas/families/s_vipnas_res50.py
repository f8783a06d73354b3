"""S-ViPNAS on ResNet-50: bottlenecks with groups and global contexts, then three grouped deconvs (CVPR 2021).

The output, at a quarter of the input: one heatmap a joint of the one person the picture was cut out for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.grouped import GroupedBottleneck
from litepose_nas.blocks.groups import check_groups, check_lanes, group_lanes
from litepose_nas.blocks.stem import MaxPool, StemConv
from litepose_nas.families.family import Family
from litepose_nas.families.shared import check_stages, heatmaps, lane_head, run_stages
from litepose_nas.task_kind import TaskKind

STRIDES = (1, 2, 2, 2)
LEAST_HIDDEN = 16  # channels inside a global context; else a sixteenth of the block's


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: a convolution and a pool, four stages down to a 32nd, three deconvs up to a quarter."""
    check_stages(tree.stages, len(STRIDES))
    yield Part("stem", 1, StemConv(tree.entry.width, tree.entry.kernel, False))
    yield Part("pool", 2, MaxPool(tree.entry.width))
    width, down = tree.entry.width, 4
    for i, (stage, stride) in enumerate(zip(tree.stages, STRIDES, strict=True)):
        check_lanes(f"stages.{i}.width", stage.width, tree.lanes)
        check_groups(f"stages.{i}.groups", stage.groups, tree.lanes, tree.fewest_groups)
        mid = stage.width // tree.lanes
        grouping = group_lanes(stage.groups, tree.lanes, tree.fewest_groups, mid, mid)
        hidden = stage.attention * _hidden(stage.width)
        for j in range(stage.depth):
            first = j == 0  # projects because the plan says so, not because widths happen to differ
            step = stride if first else 1
            block = GroupedBottleneck(*grouping, width, mid, stage.width, stage.kernel, step, first, hidden)
            yield Part(f"stages.{i}.{j}", down, block)
            width, down = stage.width, down * step
    yield from lane_head(tree, width, down, joints)


def forward(net: Any, image: Any, after: Callable[[int, Any], Any] | None = None) -> tuple[Any, ...]:
    """The heatmaps of a batch of cut-outs; `after` may change the feature behind a stage of that number."""
    x, sizes = run_stages(net.stages, net.pool(net.stem(image)), after)
    return (heatmaps(net, x, sizes),)


def _hidden(width: Any) -> Any:
    """How many channels a global context has inside: a sixteenth, but no fewer than 16."""
    wide = width > 16 * LEAST_HIDDEN
    return LEAST_HIDDEN + wide * (width // 16 - LEAST_HIDDEN)


FAMILY = Family("s_vipnas_res50", plan, forward, ("heatmaps",), TaskKind.TOPDOWN, stages=len(STRIDES))
