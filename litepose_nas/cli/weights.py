"""litepose-nas import and export: weights in, weights out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Json
from litepose_nas.cli.profile import Target
from litepose_nas.cli.session import open_data
from litepose_nas.errors import UserError, nearest
from litepose_nas.formats.subnet_file import MOST_JOINTS
from litepose_nas.resolve import resolve
from litepose_nas.space import input_size

MAX_LOSS, MOST_IMAGES = 0.5, 200  # of --int8 and --data


def import_(
    file: Annotated[Path, typer.Argument(help="A checkpoint of another program: .pth, .pt, .pth.tar or .safetensors.")],
    arch: Annotated[
        str | None, typer.Option(help="Its architecture: a name or a JSON; read off the file if not given.")
    ] = None,
    joints: Annotated[
        int | None, typer.Option(min=1, max=MOST_JOINTS, help="Keypoints; read off the file if not given.")
    ] = None,
    resolution: Annotated[
        str | None, typer.Option(help="Input size to note beside the weights: 512, or HxW such as 256x192.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="Start a supernet of this space from the file instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; beside FILE if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Read released weights, say what matched, and write them as safetensors.

    Example: litepose-nas import litepose_xs.pth.tar --arch litepose-xs --joints 14
    """
    from litepose_nas.importers.convert import convert

    out = out or file.with_name(f"{file.name.split('.')[0]}{'-supernet' if space else ''}.safetensors")
    _check_suffix(out, ".safetensors")
    if out.resolve() == file.resolve():
        raise UserError(f"{out}: would replace the file that is read; name another with --out")
    report = convert(file, out, arch=arch, joints=joints, resolution=resolution, space=space)
    if as_json:
        console.as_json({**report._asdict(), "out": str(out)})
        return
    console.out(str(report))
    console.out(f"written to {out}; next: litepose-nas {'space show ' + space if space else f'profile {out}'}")


def export(
    target: Target,
    format: Annotated[str, typer.Option(help="onnx, openvino, ncnn, litert, executorch, coreml or torch.")] = "onnx",
    input: Annotated[str | None, typer.Option(help="Input size HxW, if not the architecture's own.")] = None,
    joints: Annotated[
        int | None, typer.Option(min=1, max=MOST_JOINTS, help="Keypoints, for an untrained network.")
    ] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Random weights: only to measure speed.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Joints, or all their peaks, come out, not maps.")] = False,
    maps: Annotated[
        bool, typer.Option("--maps", help="With --decode: the fused heatmaps and tags come out, too (bottom-up).")
    ] = False,
    uint8: Annotated[bool, typer.Option("--uint8", help="Bytes (N, height, width, 3) go in, red first.")] = False,
    half: Annotated[bool, typer.Option("--half", help="Numbers of 16 bits.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Integers, calibrated on --data.")] = False,
    max_loss: Annotated[
        float | None, typer.Option(min=0, help="--int8: points that may be lost; layers that hurt are kept (0.5).")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Judge the file on images of this dataset.")] = None,
    split: Annotated[str | None, typer.Option(help="--data: val, the default, train or test.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="--data: on so many images; 200 if not given.")] = None,
    metric: Annotated[str | None, typer.Option(help="--data: ap, nme or pck; the data's own if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; in this folder if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Write the network for another runtime and check that it gives torch's outputs.

    Examples: litepose-nas export litepose-xs.safetensors
    litepose-nas export subnet-finetuned.safetensors --format ncnn
    litepose-nas export subnet-finetuned.safetensors --decode --uint8
    litepose-nas export subnet-finetuned.safetensors --format openvino --int8 --data people
    """
    from litepose_nas.cli.export_report import print_int8, print_report
    from litepose_nas.exporters.table import FORMATS

    if format not in FORMATS:
        raise UserError(f"--format: {format!r} is not one; {nearest(format, FORMATS)}")
    suffix = FORMATS[format].suffix
    if half and int8:
        raise UserError("--half and --int8: choose one of them")
    if int8 and data is None:
        raise UserError("--int8: is calibrated and judged on images; name a dataset with --data")
    if max_loss is not None and not int8:
        raise UserError("--max-loss: is for --int8; leave it out")
    if data is None and (split, images, metric) != (None, None, None):
        raise UserError("--split, --images and --metric: choose among the images of --data; name a dataset with it")
    if data is not None and untrained:
        raise UserError("--data: an untrained network finds nobody; leave out --untrained or --data")
    found = resolve(target, joints if untrained else None)
    if found.weights is None and not untrained:
        raise UserError(
            f"{target}: an architecture without weights; give a .safetensors file, or --untrained to measure speed only"
        )
    from litepose_nas import network, weights
    from litepose_nas.exporters.half import half_format
    from litepose_nas.exporters.int8_table import quantiser_of
    from litepose_nas.pose.standalone import STANDALONE
    from litepose_nas.steps import verified_export as step
    from litepose_nas.steps.export import PEAKS, exported
    from litepose_nas.steps.image_report import judge_of

    subnet = found.subnet
    if not untrained and joints not in (None, subnet.joints):
        raise UserError(f"--joints {joints}: the weights in {target} have {subnet.joints} joints")
    if found.weights is None or untrained:
        net = network.build(subnet.arch, subnet.joints)
    else:
        net = weights.load(found.weights)
    size = subnet.input if input is None else input_size(input)
    out = out or Path(f"{Path(target).stem}{suffix}")
    _check_suffix(out, suffix)
    what = exported(net, subnet, size, untrained, decode, uint8, maps)
    if half:
        half_format(format)
    if int8:  # either refuses before anything is computed
        quantiser_of(format)
    judge, most_points = None, MAX_LOSS if max_loss is None else max_loss
    if data is not None:
        judge = judge_of(target, size, open_data(data), split or "val", images or MOST_IMAGES, metric)
    if int8 and judge is not None:
        written = step.write_int8(what, out, format, judge, most_points, console.step)
    else:
        written = (step.write_half if half else step.write_fp32)(what, out, format, judge)
    checked, frames = written.checked, subnet.arch.clip_length
    parity = checked.parity
    if as_json:
        compared = {} if parity is None else parity._asdict()
        said: dict[str, Any] = {"format": format, "runtime": checked.runtime, "not_checked": checked.why_not or None}
        said["images"] = written.report.to_json() if written.report else None
        if written.int8:
            said["int8"] = written.int8.to_json()
        console.as_json({**compared, **said, "input": size, "outputs": what.outputs, "out": str(out)})
        return
    if parity is None:
        console.out(f"not checked in {checked.runtime}: {checked.why_not}")
    elif not int8:
        for batch, difference in parity.difference.items():
            far = f"largest difference from torch {difference:.1e} (outputs up to {parity.scale:.2g})"
            console.out(f"{checked.runtime}, batch {batch}: {far}")
    if written.report:
        print_report(written.report)
    elif judge is not None:
        console.out("not verified on images: nothing here runs the file")
    if written.int8:
        print_int8(written.int8, written.report, most_points)
    if written.worst:
        console.out(f"the image in which most changed: {written.worst}")
    clips = f"clips of {frames} frames, " if frames > 1 else ""
    console.out(f"written to {out}, {clips}{size[0]}x{size[1]}, outputs {', '.join(what.outputs)}")
    if what.outputs[0] == PEAKS[0]:
        console.out(f"its peaks become people by group_people.py or group_people.mjs in {STANDALONE}")


def _check_suffix(out: Path, suffix: str) -> None:
    if not out.name.endswith(suffix) or out.name == suffix:
        raise UserError(f"--out {out}: expected a name that ends in {suffix}, by which others know what it is")
