"""LitePose: one branch of inverted bottlenecks and a fusion deconv head (CVPR 2022), bottom-up.

Output 0, at a quarter of the input: one heatmap and one tag map a joint. Output 1, at a half: one heatmap a joint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.conv import MBConv
from litepose_nas.blocks.fusion import FusionDeconv, FusionHead
from litepose_nas.blocks.stem import Stem
from litepose_nas.errors import UserError
from litepose_nas.families.family import Family

STRIDES = (2, 2, 2, 1)
STEM_WIDTH = 32  # of the stem's two inner convolutions, the same in every published net


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: stem, four stages, then three fusion deconvs, the last two with an output beside them."""
    for key, number in (("stages", len(STRIDES)), ("head", 3)):
        found = getattr(tree, key)
        if not isinstance(found, list) or len(found) != number:
            got = len(found) if isinstance(found, list) else "something else"
            raise UserError(f"{key}: expected a list of {number}, got {got}")
    yield Part("stem", 1, Stem(STEM_WIDTH, tree.stem))
    width, down, last, taps = tree.stem, 2, "stem", [("stem", tree.stem)]
    for i, (stage, stride) in enumerate(zip(tree.stages, STRIDES, strict=True)):
        if stage.depth < 1:
            raise UserError(f"stages.{i}.depth: expected at least 1, for the first block carries the stride")
        # One kernel and expansion for the stage, or every block its own. Only a first block changes the width, so the
        # others are residual: said here, not found by equal widths, for windows of one store must agree.
        each = stage.blocks if hasattr(stage, "blocks") else [stage] * stage.depth
        for j, block in enumerate(each[: stage.depth]):
            last = f"stages.{i}.{j}"
            if j == 0:
                bottleneck = MBConv(width, width * block.expand, stage.width, block.kernel, stride, False)
                yield Part(last, down, bottleneck)
                width, down = stage.width, down * stride
            else:
                yield Part(last, down, MBConv(width, width * block.expand, width, block.kernel, 1, True))
        taps.append((last, width))
    taps.pop()  # stage 4 is where refining starts; stages 3, 2, 1 and the stem come in raw
    for i, head in enumerate(tree.head):
        raw, raw_width = taps.pop()
        yield Part(f"head.fuse.{i}", down, FusionDeconv(width, raw_width, head.width, 4), (last, raw))
        width, down, last = head.width, down // 2, f"head.fuse.{i}"
        if i > 0:
            raw, raw_width = taps[-1]
            outputs = 2 * joints if i == 1 else joints
            yield Part(f"head.out.{i - 1}", down, FusionHead(width, raw_width, outputs, 5), (last, raw))


def forward(net: Any, image: Any) -> tuple[Any, ...]:
    """Return the two outputs for a batch of pictures."""
    x = net.stem(image)
    raw = [x]
    for stage in net.stages.children():
        for block in stage.children():
            x = block(x)
        raw.append(x)
    raw.pop()
    outputs = []
    for i, fuse in enumerate(net.head.fuse.children()):
        x = fuse(x, raw.pop())
        if i > 0:
            outputs.append(getattr(net.head.out, str(i - 1))(x := _crop(x, raw[-1]), raw[-1]))
        else:
            x = _crop(x, raw[-1])
    return tuple(outputs)


def _crop(x: Any, like: Any) -> Any:
    """Cut the row and column that a deconv adds where an odd size was halved with rounding up."""
    height, width = like.shape[-2:]
    return x if x.shape[-2:] == (height, width) else x[..., :height, :width]


FAMILY = Family("litepose", plan, forward, ("heatmaps_tags", "heatmaps"))
