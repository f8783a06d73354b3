"""HigherHRNet (CVPR 2020) with a DaViT (2022) beside it, joined at up to four resolutions; bottom-up.

Output 0, at a quarter of the input: one heatmap and one tag map a joint. Each deconv behind it doubles the size and
adds an output of one heatmap a joint.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from litepose_nas.blocks.block import Part, ceil_div
from litepose_nas.blocks.concat import ConcatConv
from litepose_nas.blocks.deconv import HeatmapConv
from litepose_nas.blocks.fusion import FusionDeconv
from litepose_nas.errors import UserError, nearest
from litepose_nas.families.family import Family
from litepose_nas.families.hrnet_davit.davit import ChannelBlock, LayerNorm2d, PatchEmbed, PatchStem, WindowBlock
from litepose_nas.families.hrnet_davit.hrnet import AddMerge, BasicBlock, Bottleneck, Conv3x3, Fuse, GateMerge
from litepose_nas.families.shared import chain, check_list, cropped
from litepose_nas.space_file import reach

BRANCHES = 4
ORDERS = {
    "channel": ("channel",),
    "spatial": ("spatial",),
    "channel-spatial": ("channel", "spatial"),
    "spatial-channel": ("spatial", "channel"),
}
JOINS = ("add", "gate", "concat1", "concat3")
DECONV_KERNEL = 4


def plan(tree: Any, joints: int) -> Iterator[Part]:
    """Yield the blocks: stem, bottlenecks, stages of two to four branches, outputs; DaViT's just before a join."""
    _check(tree)
    widths = [branch.width for branch in tree.branches]
    yield Part("stem.0", 1, Conv3x3(3, tree.stem, 2), ("",))
    yield Part("stem.1", 2, Conv3x3(tree.stem, tree.stem, 2))
    last = yield from _side(tree, 0, "stem.1", tree.stem)
    width = tree.stem
    for j in range(tree.bottlenecks.depth):
        # Only the first changes the width: said here, not found by equal widths, for windows of one store must agree.
        wide = 4 * tree.bottlenecks.width
        yield Part(f"bottlenecks.{j}", 4, Bottleneck(width, tree.bottlenecks.width, wide, j == 0), (last,))
        width, last = wide, f"bottlenecks.{j}"
    yield Part("enter.0", 4, Conv3x3(width, widths[0], 1), (last,))
    yield Part("enter.1", 4, Conv3x3(width, widths[1], 2), (last,))
    ends = ["enter.0", (yield from _side(tree, 1, "enter.1", widths[1]))]
    for s, stage in enumerate(tree.stages):
        if s:
            # A branch begins from the coarsest one there is, which is half as coarse.
            yield Part(f"enter.{s + 1}", 4 << s, Conv3x3(widths[s], widths[s + 1], 2), (ends[s],))
            ends.append((yield from _side(tree, s + 1, f"enter.{s + 1}", widths[s + 1])))
        present = [*widths[: s + 2], *[0] * (BRANCHES - 2 - s)]
        for m, module in enumerate(stage.blocks[: stage.depth]):
            for i in range(len(ends)):
                for j in range(module.depth):
                    name = f"stages.{s}.{m}.branches.{i}.{j}"
                    yield Part(name, 4 << i, BasicBlock(widths[i]), (ends[i],))
                    ends[i] = name
            # The last exchange of all is for the finest branch alone: nobody reads the others.
            final = s == len(tree.stages) - 1 and m == stage.depth - 1
            reads = tuple(ends)
            for i in range(1 if final else len(ends)):
                ends[i] = f"stages.{s}.{m}.fuse.{i}"
                yield Part(ends[i], 4, Fuse(i, *present), reads)
    yield from _head(tree, joints, ends[0], widths[0])


def _head(tree: Any, joints: int, last: str, width: int) -> Iterator[Part]:
    yield Part("head.out.0", 4, HeatmapConv(width, 2 * joints), (last,), answers=True)
    outputs, down = 2 * joints, 4
    for i, scale in enumerate(tree.head.blocks[: tree.head.depth]):
        # A deconv of the feature and its heatmaps side by side, each with its band of the weight.
        deconv = FusionDeconv(width, outputs, scale.width, DECONV_KERNEL)
        yield Part(f"head.up.{i}", down, deconv, (last, f"head.out.{i}"))
        last, width, outputs, down = f"head.up.{i}", scale.width, joints, down // 2
        for j in range(scale.depth):
            yield Part(f"head.mix.{i}.{j}", down, BasicBlock(width), (last,))
            last = f"head.mix.{i}.{j}"
        yield Part(f"head.out.{i + 1}", down, HeatmapConv(width, joints), (last,), answers=True)


def _side(tree: Any, i: int, main: str, width: int) -> Generator[Part, None, str]:
    """Yield DaViT at the resolution of a main feature, if that is joined here or further on; return what comes out."""
    davit = getattr(tree, "davit", None)
    if davit is None or i >= reach(davit.mask):
        return main
    stage, name, down = davit.blocks[i], f"davit.{i}", 4 << i
    if i == 0:
        yield Part(f"{name}.embed", 1, PatchStem(stage.width), ("",))
    else:
        before = davit.blocks[i - 1]
        end = f"davit.{i - 1}.pairs.{before.depth - 1}.{ORDERS[before.order][-1]}"
        yield Part(f"{name}.embed", down // 2, PatchEmbed(before.width, stage.width, stage.embed), (end,))
    inner, hidden = ceil_div(stage.width, stage.head) * stage.head, stage.width * stage.expand
    for j in range(stage.depth):
        for kind in ORDERS[stage.order]:
            sizes = stage.width, inner, stage.head, hidden
            block = WindowBlock(*sizes, stage.window) if kind == "spatial" else ChannelBlock(*sizes)
            yield Part(f"{name}.pairs.{j}.{kind}", down, block)
    if davit.mask[i] == "0":
        return main
    yield Part(f"{name}.norm", down, LayerNorm2d(stage.width))
    # A 1x1 is the middle of the 3x3; what does not nest has a name of its own.
    kind = davit.join.rstrip("13")
    join = {
        "add": AddMerge(width, stage.width),
        "gate": GateMerge(width, stage.width),
        "concat": ConcatConv(width, stage.width, width, 1 if davit.join.endswith("1") else 3, act=False),
    }[kind]
    yield Part(f"join.{i}.{kind}", down, join, (main, f"{name}.norm"))
    return f"join.{i}.{kind}"


def forward(net: Any, image: Any) -> tuple[Any, ...]:
    """The outputs for a batch of pictures, the coarsest first."""
    side = [image]  # where DaViT has come to
    x = chain(net.stem, image)
    x = _joined(net, 0, x, side)
    x = chain(net.bottlenecks, x)
    branches = [getattr(net.enter, "0")(x), _joined(net, 1, getattr(net.enter, "1")(x), side)]
    for s, stage in enumerate(net.stages.children()):
        if s:
            branches.append(_joined(net, s + 1, getattr(net.enter, str(s + 1))(branches[s]), side))
        for module in stage.children():
            if hasattr(module, "branches"):
                branches = [chain(blocks, x) for blocks, x in zip(module.branches.children(), branches, strict=True)]
            branches = [fuse(*branches) for fuse in module.fuse.children()]
    return _heatmaps(net.head, branches[0], image)


def _heatmaps(head: Any, x: Any, image: Any) -> tuple[Any, ...]:
    outputs = [getattr(head.out, "0")(x)]
    for i, up in enumerate(head.up.children() if hasattr(head, "up") else ()):
        x = up(x, outputs[-1])
        # An odd size was rounded up when it was halved, so it comes back with a row too many.
        x = cropped(x, [-(-size // (2 >> i)) for size in image.shape[2:]])
        if hasattr(head, "mix") and hasattr(head.mix, str(i)):
            x = chain(getattr(head.mix, str(i)), x)
        outputs.append(getattr(head.out, str(i + 1))(x))
    return tuple(outputs)


def _joined(net: Any, i: int, x: Any, side: list[Any]) -> Any:
    """Take DaViT one resolution further, if the net has it there; return the feature, joined if it is joined there."""
    if not hasattr(net, "davit") or not hasattr(net.davit, str(i)):
        return x
    stage = getattr(net.davit, str(i))
    side[0] = stage.embed(side[0])
    for pair in stage.pairs.children():
        side[0] = chain(pair, side[0])
    if not hasattr(stage, "norm"):
        return x
    (join,) = getattr(net.join, str(i)).children()
    return join(x, stage.norm(side[0]))


def _check(tree: Any) -> None:
    davit = getattr(tree, "davit", None)
    kept = davit.blocks[: reach(davit.mask)] if davit is not None and reach(davit.mask) else []
    if davit is not None:
        if len(davit.mask) != BRANCHES:
            raise UserError(
                f"davit.mask: expected {BRANCHES} of 0 and 1, the finest resolution first, got {davit.mask!r}"
            )
        if kept and davit.join not in JOINS:
            raise UserError(f"davit.join: {davit.join!r} is no way to join; {nearest(davit.join, JOINS)}")
    check_list("branches", tree.branches, BRANCHES)
    check_list("stages", tree.stages, BRANCHES - 1)
    depths = [("bottlenecks", tree.bottlenecks.depth)]
    depths += [(f"stages.{s}", stage.depth) for s, stage in enumerate(tree.stages)]
    depths += [(f"davit.blocks.{i}", stage.depth) for i, stage in enumerate(kept)]
    for place, depth in depths:
        if depth < 1:
            raise UserError(f"{place}.depth: expected at least 1, for nothing else takes what comes before further")
    for i, stage in enumerate(kept):
        place = f"davit.blocks.{i}"
        if stage.order not in ORDERS:
            raise UserError(f"{place}.order: {stage.order!r} is none; {nearest(stage.order, ORDERS)}")
        if i and isinstance(stage.embed, int) and stage.embed not in (2, 3):
            raise UserError(f"{place}.embed: expected patches of 2, or of 3 that overlap, got {stage.embed}")
        for key in ("window", "head"):
            if isinstance(size := getattr(stage, key), (int, str)) and not (isinstance(size, int) and size > 0):
                raise UserError(f"{place}.{key}: expected a whole number from 1 up, got {size!r}")


FAMILY = Family("hrnet_davit", plan, forward, ("heatmaps_tags", "heatmaps", "heatmaps_fine"))
