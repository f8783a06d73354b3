"""A network made ready to be exported: as it is, with joints in place of heatmaps, with bytes in place of pixels."""

from __future__ import annotations

from typing import Any

from torch import nn

from litepose_nas import costs
from litepose_nas.data.pixels import pixels_of, words
from litepose_nas.errors import UserError
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.parity import output_names
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.network import Network
from litepose_nas.pose.bottomup import BottomUp, tag_cue_of
from litepose_nas.pose.in_graph import Decoded, FromBytes
from litepose_nas.pose.peaks_in_graph import WithPeaks
from litepose_nas.task_kind import TaskKind

NOT_VERIFIED = "not verified on images"
JOINTS = "joints"  # the output of a file that decodes, for one person
PEAKS = ("peaks", "heatmaps", "tags")  # those for everybody; the last two with the maps


def exported(
    net: Network,
    subnet: Subnet,
    size: tuple[int, int],
    untrained: bool,
    decode: bool = False,
    reads_bytes: bool = False,
    maps: bool = False,
) -> Exported:
    """The network with all that its file shall say; `size` may be another than the architecture's own."""
    arch, info = subnet.arch, subnet.info
    outputs = output_names(net, size, arch.space.family.outputs)
    meta: dict[str, Any] = {
        **subnet.to_json(),
        "input": list(size),
        "cost": costs.cost(arch, size, subnet.joints)._asdict(),
        "untrained": untrained,
        "input_pixels": words(pixels_of(info)),
        "images": NOT_VERIFIED,
    }
    written: nn.Module = net.eval()
    kind = TaskKind(arch.space.task)
    if maps and (kind.one_person or not decode):
        raise UserError("--maps: comes with --decode, for bottom-up networks; leave it out")
    if decode and kind.clips:
        raise UserError(f"--decode: files of {kind.words} networks give raw outputs alone so far; leave it out")
    if decode and not kind.one_person:
        task = BottomUp(subnet.joints, tag_cue=tag_cue_of(info))
        written, outputs = WithPeaks(written, task, size, maps).eval(), PEAKS if maps else PEAKS[:1]
        meta["decoded"] = (
            f"of each joint the {task.grouping.max_people} best peaks: x and y in pixels of the input, whose first "
            "covers 0 to 1, the value of the heatmap, and the tag; zeros where there are no more"
        )
    elif decode:
        written, outputs = Decoded(written, str(info.get("codec", "plain")), size).eval(), (JOINTS,)
        meta["decoded"] = "x and y in pixels of the input, whose first covers 0 to 1, and the value of the heatmap"
    if reads_bytes:
        if arch.clip_length > 1:
            raise UserError("--uint8: clips are taken as numbers; leave it out")
        written = FromBytes(written, pixels_of(info)).eval()
        meta["input_bytes"] = "(N, height, width, 3), red, green, blue; input_pixels is applied inside"
    more = decode or reads_bytes
    return Exported(written, arch, subnet.joints, size, outputs, meta, more, reads_bytes, decode, traced={})
