"""A LitePose network by its numbers, wherever they come from, and the architecture of our spaces that has them."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.errors import UserError
from litepose_nas.space import Arch, Space

SPACES = ("litepose", "litepose-blocks")  # searched for the numbers, the simpler one first


class BlockNumbers(NamedTuple):
    kernel: int
    expand: int


class StageNumbers(NamedTuple):
    width: int
    blocks: tuple[BlockNumbers, ...]


class Numbers(NamedTuple):
    """All that tells one LitePose from another, joints aside."""

    resolution: int | None  # None where it is unknown: no tensor depends on it
    stem: int
    stages: tuple[StageNumbers, ...]
    head: tuple[int, ...]


def to_arch(net: Numbers) -> Arch:
    """Return the architecture in `litepose`, or if it is no point of it in `litepose-blocks`, or in its own space."""
    for name in SPACES:
        try:
            return point(Space.load(name), net)
        except UserError:
            continue
    return point(own_space(net), net)


def point(space: Space, net: Numbers) -> Arch:
    """Return the architecture of a space that has these numbers; where the resolution is unknown, its largest."""
    if space.family.name != "litepose":
        raise UserError(f"{space.name}: not a space of LitePose, so LitePose's numbers are no point of it")
    values = {gene.path: value(net, gene.path) for gene in space.genes}
    if net.resolution is None and "resolution" in values:
        values["resolution"] = space.resolutions[-1]
    arch = space.arch(values)
    known = net.resolution is not None
    own = own_space(net := net if known else net._replace(resolution=arch.input[0]))
    want = own.arch({gene.path: value(net, gene.path) for gene in own.genes})
    for mine, theirs in zip(arch.plan(1), want.plan(1), strict=False):
        if mine != theirs:  # a number that the space fixes
            raise UserError(f"{mine.name}: {space.name} fixes {mine.block}, not {theirs.block}")
    if known and arch.input != want.input:
        raise UserError(f"resolution: {space.name} fixes {arch.input}, not {net.resolution}")
    return arch


def value(net: Numbers, path: str) -> int | None:
    """Return the number at a gene path, None for a block that the network does not have."""
    match path.split("."):
        case ["resolution"]:
            return net.resolution
        case ["stem"]:
            return net.stem
        case ["head", i, "width"]:
            return net.head[int(i)]
        case ["stages", i, "depth"]:
            return len(net.stages[int(i)].blocks)
        case ["stages", i, "width"]:
            return net.stages[int(i)].width
        case ["stages", i, "blocks", j, key]:
            blocks = net.stages[int(i)].blocks
            return getattr(blocks[int(j)], key) if int(j) < len(blocks) else None
        case ["stages", i, key]:
            found = sorted({getattr(block, key) for block in net.stages[int(i)].blocks})
            if len(found) > 1:
                raise UserError(f"{path}: the blocks have {found}, where one for the whole stage was expected")
            return found[0]
    raise UserError(f"{path}: LitePose has no such number")


def own_space(net: Numbers) -> Space:
    """Return a space whose choices are the numbers of this network."""
    stages = []
    for stage in net.stages:
        choices = {key: sorted({getattr(block, key) for block in stage.blocks}) for key in BlockNumbers._fields}
        mixed = any(len(found) > 1 for found in choices.values())
        blocks = {"blocks": choices} if mixed else choices
        stages.append({"depth": [len(stage.blocks)], "width": [stage.width], **blocks})
    head = [{"width": [width]} for width in net.head]
    tree = {"family": "litepose", "resolution": [net.resolution or 512], "stem": [net.stem]}
    return Space({**tree, "stages": stages, "head": head}, name="litepose-own")


def check_released(net: Numbers, where: str) -> None:
    """Refuse a network of the released code that adds a residual where our family, whose plan decides, has none."""
    width = net.stages[2].width
    if net.stages[3].width == width:
        raise UserError(
            f"{where}: stages 3 and 4 both have {width} channels; LitePose's code then adds a residual to the first "
            "block of stage 4, ours never does, so the function would change; give the two stages different widths"
        )
