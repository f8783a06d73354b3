"""What the released LitePose and this package call the same tensor."""

from __future__ import annotations

from litepose_nas.importers.templates import translate

PAIRS = (
    ("first.0.0", "stem.conv.conv"),
    ("first.0.1", "stem.conv.bn"),
    ("first.1.0", "stem.dw.conv"),
    ("first.1.1", "stem.dw.bn"),
    ("first.2", "stem.project.conv"),
    ("first.3", "stem.project.bn"),
    ("stage.I.J.inv.0", "stages.I.J.expand.conv"),
    ("stage.I.J.inv.1", "stages.I.J.expand.bn"),
    ("stage.I.J.LinearKxK", "stages.I.J.dw.conv.maps.K"),  # a supernet's map for kernel K
    ("stage.I.J.depth_conv.0", "stages.I.J.dw.conv"),
    ("stage.I.J.depth_conv.1", "stages.I.J.dw.bn"),
    ("stage.I.J.point_conv.0", "stages.I.J.project.conv"),
    ("stage.I.J.point_conv.1", "stages.I.J.project.bn"),
    ("deconv_refined.I", "head.fuse.I.refined"),
    ("deconv_raw.I", "head.fuse.I.raw"),
    ("deconv_bnrelu.I.0", "head.fuse.I.bn"),
    ("final_refined.I.conv.0", "head.out.I.refined.dw.conv"),
    ("final_refined.I.conv.1", "head.out.I.refined.dw.bn"),
    ("final_refined.I.conv.3", "head.out.I.refined.project"),
    ("final_raw.I.conv.0", "head.out.I.raw.dw.conv"),
    ("final_raw.I.conv.1", "head.out.I.raw.dw.bn"),
    ("final_raw.I.conv.3", "head.out.I.raw.project"),
)


def to_ours(name: str) -> str | None:
    """Return our name for a released tensor, which may have it already; None if no LitePose has one of that name."""
    if name.startswith(("stem.", "stages.", "head.")):
        return name
    return translate(name, PAIRS)


def is_known(name: str) -> bool:
    """Tell whether a tensor of this name can only be a LitePose's, under its released name or ours."""
    own = name in ("stem.project.conv.weight", "head.fuse.0.refined.weight")
    return own or translate(name, PAIRS) is not None


def to_theirs(name: str) -> str:
    return translate(name, ((ours, theirs) for theirs, ours in PAIRS)) or name
