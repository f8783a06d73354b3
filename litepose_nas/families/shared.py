"""What plans and wirings of several families have in common."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.conv import MBConv
from litepose_nas.blocks.deconv import GroupDeconv, LaneHeatmapConv
from litepose_nas.blocks.groups import check_groups, check_lanes, group_lanes
from litepose_nas.errors import UserError

LANE_DECONVS = 3


def check_list(key: str, found: Any, least: int, most: int | None = None) -> None:
    """Refuse what is no list of so many."""
    most = least if most is None else most
    if not isinstance(found, list) or not least <= len(found) <= most:
        got = len(found) if isinstance(found, list) else "something else"
        raise UserError(f"{key}: expected a list of {least if least == most else f'{least} to {most}'}, got {got}")


def check_stages(stages: Any, number: int) -> None:
    """Refuse what is no list of so many stages with a block each."""
    check_list("stages", stages, number)
    for i, stage in enumerate(stages):
        if stage.depth < 1:
            raise UserError(f"stages.{i}.depth: expected at least 1, for the first block carries the stride")


def mbconv_stages(
    stages: Any, strides: Sequence[int], width: Any, down: int
) -> Generator[Part, None, tuple[list[tuple[str, Any]], int]]:
    """Yield inverted bottlenecks; return the name and width of each stage's last, and how much smaller it all is then.

    One kernel and expansion for a stage, or every block its own. Only a first block changes the width, so the others
    are residual: said here, not found by equal widths, for windows of one store must agree.
    """
    ends = []
    for i, (stage, stride) in enumerate(zip(stages, strides, strict=True)):
        each = stage.blocks if hasattr(stage, "blocks") else [stage] * stage.depth
        for j, block in enumerate(each[: stage.depth]):
            first = j == 0
            mid, cout = width * block.expand, stage.width if first else width
            step = stride if first else 1
            yield Part(f"stages.{i}.{j}", down, MBConv(width, mid, cout, block.kernel, step, not first))
            width, down = cout, down * step
        ends.append((f"stages.{i}.{stage.depth - 1}", width))
    return ends, down


def lane_head(tree: Any, width: Any, down: int, joints: int) -> Iterator[Part]:
    """Yield three deconvs, alike but for what comes in, and the convolution whose output is the heatmaps."""
    check_lanes("head.width", tree.head.width, tree.lanes)
    check_groups("head.groups", tree.head.groups, tree.lanes, tree.fewest_groups)
    each, cout = width // tree.lanes, tree.head.width // tree.lanes
    for i in range(LANE_DECONVS):
        grouping = group_lanes(tree.head.groups, tree.lanes, tree.fewest_groups, each, cout)
        yield Part(f"head.{i}", down, GroupDeconv(*grouping, each, cout, tree.head.kernel, i == 0))
        each, down = cout, down // 2
    yield Part("heatmaps", down, LaneHeatmapConv(tree.lanes, cout, joints))


def chain(blocks: Any, x: Any) -> Any:
    """Run one block after the other."""
    for block in blocks.children():
        x = block(x)
    return x


def run_stages(stages: Any, x: Any, after: Callable[[int, Any], Any] | None) -> tuple[Any, list[Any]]:
    """The last feature and the size before each stage; `after` may change the feature behind a stage of that number."""
    sizes = []
    for number, stage in enumerate(stages.children()):
        sizes.append(x.shape[-2:])
        x = chain(stage, x)
        x = after(number, x) if after else x
    return x, sizes


def heatmaps(net: Any, x: Any, sizes: Sequence[Any]) -> Any:
    """The heatmaps from the last feature; each deconv comes back to one of the sizes before, the last of them first."""
    for deconv, size in zip(net.head.children(), reversed(sizes), strict=False):
        x = cropped(deconv(x), size)
    return net.heatmaps(x)


def cropped(x: Any, size: Any) -> Any:
    """Cut the row and column that a deconv adds where an odd size was halved with rounding up."""
    height, width = size
    return x if x.shape[-2:] == (height, width) else x[..., :height, :width]
