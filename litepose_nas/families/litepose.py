"""LitePose: one branch of inverted bottlenecks and a fusion deconv head (CVPR 2022), bottom-up.

Output 0, at a quarter of the input: one heatmap and one tag map a joint. Output 1, at a half: one heatmap a joint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.fusion import FusionDeconv, FusionHead
from litepose_nas.blocks.stem import Stem
from litepose_nas.families.family import Family
from litepose_nas.families.shared import chain, check_list, check_stages, cropped, mbconv_stages

STRIDES = (2, 2, 2, 1)
STEM_WIDTH = 32  # of the stem's two inner convolutions, the same in every published net


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: stem, four stages, then three fusion deconvs, the last two with an output beside them."""
    check_stages(tree.stages, len(STRIDES))
    check_list("head", tree.head, 3)
    yield Part("stem", 1, Stem(STEM_WIDTH, tree.stem))
    ends, down = yield from mbconv_stages(tree.stages, STRIDES, tree.stem, 2)
    # Stage 4 is where refining starts; stages 3, 2, 1 and the stem come in raw.
    *taps, (last, width) = [("stem", tree.stem), *ends]
    for i, head in enumerate(tree.head):
        raw, raw_width = taps.pop()
        yield Part(f"head.fuse.{i}", down, FusionDeconv(width, raw_width, head.width, 4), (last, raw))
        width, down, last = head.width, down // 2, f"head.fuse.{i}"
        if i > 0:
            raw, raw_width = taps[-1]
            outputs = 2 * joints if i == 1 else joints
            yield Part(f"head.out.{i - 1}", down, FusionHead(width, raw_width, outputs, 5), (last, raw))


def forward(net: Any, image: Any) -> tuple[Any, ...]:
    x = net.stem(image)
    raw = [x]
    for stage in net.stages.children():
        x = chain(stage, x)
        raw.append(x)
    raw.pop()
    outputs = []
    for i, fuse in enumerate(net.head.fuse.children()):
        x = fuse(x, raw.pop())
        x = cropped(x, raw[-1].shape[-2:])
        if i > 0:
            outputs.append(getattr(net.head.out, str(i - 1))(x, raw[-1]))
    return tuple(outputs)


FAMILY = Family("litepose", plan, forward, ("heatmaps_tags", "heatmaps"))
