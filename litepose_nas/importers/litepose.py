"""Weights of the released LitePose, its networks and its supernet, into ours.

The released supernet has the layout of its largest network, and beside each kernel two learned maps for smaller ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from litepose_nas import weights
from litepose_nas.errors import UserError
from litepose_nas.families.litepose import STRIDES
from litepose_nas.formats import litepose_json, subnet_file
from litepose_nas.formats import litepose_numbers as numbers
from litepose_nas.formats.litepose_numbers import Numbers
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.importers.checkpoint import read_checkpoint
from litepose_nas.importers.layout import rename, translate
from litepose_nas.importers.report import ImportReport, Shape
from litepose_nas.network import Network
from litepose_nas.resolve import published, resolve
from litepose_nas.space import Arch, Space
from litepose_nas.supernet import Supernet, window

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
DEFAULT_RESOLUTION = 512  # of the released training, for a network that is not one of the published


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


class Checkpoint(NamedTuple):
    """A file whose tensors have our names, and the network that their shapes tell."""

    file: str
    tensors: dict[str, Tensor]  # under our names
    maps: dict[str, Tensor]  # learned maps of a supernet's kernels, under our names
    theirs: dict[str, str]  # our name -> the file's
    foreign: dict[str, Shape]  # the file's names that no LitePose has
    numbers: Numbers
    joints: int


def read(path: str | Path) -> Checkpoint:
    tensors, theirs, foreign = rename(read_checkpoint(path), to_ours, str(path))
    if not tensors:
        raise UserError(
            f"{path}: none of its {len(foreign)} tensors belongs to a LitePose (the first is {next(iter(foreign))!r}); "
            "expected names such as first.0.0.weight and stage.0.0.inv.0.weight"
        )
    maps = {name: tensors.pop(name) for name in list(tensors) if ".maps." in name}
    net, joints = _infer(tensors, theirs, str(path))
    if any(name.startswith("stage.") for name in theirs.values()):
        numbers.check_released(net, str(path))
    return Checkpoint(str(path), tensors, maps, theirs, foreign, net, joints)


def _infer(tensors: Mapping[str, Tensor], theirs: Mapping[str, str], where: str) -> tuple[Numbers, int]:
    def shape(name: str) -> Shape:
        if name not in tensors:
            raise UserError(f"{where}: no tensor {to_theirs(name)}, so it is no whole LitePose; is it cut short?")
        found = tuple(tensors[name].shape)
        if len(found) != 4 or 0 in found:
            raise UserError(f"{where}: {theirs[name]}: expected 4 dimensions, none of them 0, got {list(found)}")
        return found

    stages = []
    for i in range(len(STRIDES)):
        blocks, j = [], 0
        while j == 0 or f"stages.{i}.{j}.expand.conv.weight" in tensors:
            mid, width, *_ = shape(f"stages.{i}.{j}.expand.conv.weight")
            kernel = shape(f"stages.{i}.{j}.dw.conv.weight")[-1]
            if mid % width or kernel % 2 == 0:
                name = theirs[f"stages.{i}.{j}.dw.conv.weight"]
                raise UserError(
                    f"{where}: {name}: {width} channels expand to {mid} with kernel {kernel}; expected a multiple and "
                    "an odd kernel"
                )
            blocks.append(numbers.BlockNumbers(kernel, mid // width))
            j += 1
        stages.append(numbers.StageNumbers(shape(f"stages.{i}.0.project.conv.weight")[0], tuple(blocks)))
    stem = shape("stem.project.conv.weight")[0]
    head = tuple(shape(f"head.fuse.{i}.refined.weight")[1] for i in range(3))
    joints = shape("head.out.1.refined.project.weight")[0]
    return Numbers(None, stem, tuple(stages), head), joints


def import_weights(
    path: str | Path,
    arch: str | Path | Arch | None = None,
    joints: int | None = None,
    resolution: int | None = None,
) -> Network:
    """Return the network in a released checkpoint, ready to predict; `meta["imported"]` is the report.

    Architecture and joints are read off the file unless given. No tensor tells the resolution: it is that of the
    published network with these numbers, else 512. From a supernet, an `arch` is cut out by the released rules.
    """
    file = read(path)
    notes = []
    if arch is None:
        net, note = _with_resolution(file.numbers, resolution)
        found, notes = numbers.to_arch(net), [note]
    elif resolution is not None:
        raise UserError(f"resolution {resolution}: the architecture has its own; leave one of the two out")
    else:
        found = arch if isinstance(arch, Arch) else resolve(arch).subnet.arch
    if found.space.family.name != "litepose":
        raise UserError(f"{path}: holds a LitePose; {found.space.name} has networks of another family")
    joints = file.joints if joints is None else subnet_file.check_joints(joints, str(path))
    subnet = Subnet(found, joints, {"source": {"imported_from": Path(path).name}})
    wanted = weights.skeleton(subnet)
    like = wanted.state_dict()
    used = file
    if file.maps and arch is not None:
        used = file._replace(tensors=_cut(file, weights.shapes(like)))
        notes.append(f"{len(file.tensors) - len(used.tensors)} tensors of blocks past its depth left out")
        notes.append("cut out of a supernet: its BN statistics are those of the largest network, so calibrate it")
        notes.append("kernel maps used only where a smaller kernel was cut out")
    elif file.maps:
        notes.append("a supernet: this is its largest network, which needs none of its kernel maps")
    report = _fit(used, subnet, like, f"{found.space.name}, {subnet.joints} joints, {subnet.input[0]} px", notes)
    state = {
        name: used.tensors[name].to(tensor.dtype).clone(memory_format=torch.contiguous_format)
        for name, tensor in like.items()
    }
    wanted.load_state_dict(state, assign=True)
    wanted.meta = {**subnet.to_json(), "imported": report}
    return wanted.requires_grad_().eval()


def init_supernet(supernet: Supernet, path: str | Path) -> ImportReport:
    """Copy a LitePose-shaped checkpoint, a network or a supernet, into the windows of its architecture."""
    return _fill(supernet, read(path))


def import_supernet(path: str | Path, space: str | Space, joints: int | None = None) -> tuple[Supernet, ImportReport]:
    """Return a new supernet of a space, started from a LitePose-shaped checkpoint."""
    file = read(path)
    joints = file.joints if joints is None else subnet_file.check_joints(joints, str(path))
    supernet = Supernet(Space.load(space) if isinstance(space, str) else space, joints)
    return supernet, _fill(supernet, file)


def _fill(supernet: Supernet, file: Checkpoint) -> ImportReport:
    try:
        arch = numbers.point(supernet.space, file.numbers)
    except UserError as error:
        raise UserError(f"{file.file}: its network is no point of the space {supernet.space.name}: {error}") from error
    subnet = Subnet(arch, supernet.joints)
    like = weights.skeleton(subnet).state_dict()
    store = supernet.store.state_dict()
    maps = {name: t for name, t in file.maps.items() if name in store and store[name].shape == t.shape}
    net = file.numbers
    widths, depths = [stage.width for stage in net.stages], [len(stage.blocks) for stage in net.stages]
    notes = [f"its place: stem {net.stem}, widths {widths}, depths {depths}, head {list(net.head)}"]
    if unused := len(file.maps) - len(maps):
        none = "the supernet has none (the released training never used them: every kernel was 7)"
        why = "the space has no kernels larger than theirs" if supernet.kernel_maps else none
        notes.append(f"{unused} tensors of kernel maps not used: {why}")
    report = _fit(file, subnet, like, f"a supernet of {supernet.space.name}, {supernet.joints} joints", notes, maps)
    copy_into(supernet, arch, {name: file.tensors[name] for name in like})
    with torch.no_grad():
        for name, tensor in maps.items():
            store[name].copy_(tensor)
    return report


def copy_into(supernet: Supernet, arch: Arch, tensors: Mapping[str, Tensor]) -> None:
    """Copy a network into the windows of its architecture, which then uses its kernels as they are."""
    with torch.no_grad():
        windows = supernet.subnet(arch).state_dict()
        for name, tensor in tensors.items():
            windows[name].copy_(tensor)
        for name, tensor in windows.items():
            if ".maps." in name:
                tensor.copy_(torch.eye(len(tensor)) if name.endswith("weight") else torch.zeros(len(tensor)))


def _cut(file: Checkpoint, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Return the tensors of a smaller network inside the released supernet; what cannot be cut is left as it is."""
    cut = {}
    for name, tensor in file.tensors.items():
        shape = shapes.get(name)
        if shape is None and name.startswith("stages."):
            continue  # a block past the depth
        output = name.startswith("head.out.") and name.endswith("project.weight")  # another joint is no smaller net
        if shape is None or len(shape) != tensor.dim() or (output and shape[0] != len(tensor)):
            cut[name] = tensor
            continue
        kernel = name.startswith("stages.") and name.endswith(".dw.conv.weight")
        small = all(mine >= theirs for mine, theirs in zip(tensor.shape, shape, strict=True))
        cut[name] = window(tensor, shape, (2, 3) if kernel else ()) if small else tensor
        learned = file.maps.get(f"{name.removesuffix('weight')}maps.{shape[-1]}.weight") if kernel and small else None
        if learned is not None and shape[-1] < tensor.shape[-1]:
            bias = file.maps[f"{name.removesuffix('weight')}maps.{shape[-1]}.bias"]
            cut[name] = (cut[name].flatten(1) @ learned.T + bias).view(shape)
    return cut


def _fit(
    file: Checkpoint,
    subnet: Subnet,
    like: Mapping[str, Tensor],
    network: str,
    notes: list[str],
    used_maps: Iterable[str] = (),
) -> ImportReport:
    """Return the report of a file that has all that a network needs; refuse any other."""
    found, shapes = weights.shapes(file.tensors), weights.shapes(like)
    _refuse_unless_whole(file, subnet, found, shapes)
    for name, tensor in like.items():
        dtype = file.tensors[name].dtype
        if tensor.is_floating_point() and not dtype.is_floating_point:
            raise UserError(
                f"{file.file}: {file.theirs[name]} holds {dtype}, expected {tensor.dtype}; is it quantised?"
            )
    maps = {file.theirs[name]: shape for name, shape in weights.shapes(file.maps).items() if name not in used_maps}
    return ImportReport(
        file.file,
        network,
        matched=(*shapes, *used_maps),
        unmatched=tuple({**file.foreign, **maps}.items()),
        notes=tuple(notes),
    )


def _refuse_unless_whole(
    file: Checkpoint, subnet: Subnet, found: Mapping[str, Shape], shapes: Mapping[str, Shape]
) -> None:
    if found == shapes:
        return
    differences = list(_differences(file.numbers, subnet.arch))
    if file.joints != subnet.joints:
        reason = f"the file's head has {file.joints} joints, {subnet.joints} asked; ask for {file.joints}, or for none"
    elif differences:
        listed = ", ".join(differences[:4])
        reason = f"the architecture is not the file's: {listed}; leave it out to read it off the file"
    else:
        reason = "the file is damaged, or no LitePose after all"
    problems = [
        f"{file.theirs[name]} is {list(found[name])}, not {list(shape)}"
        for name, shape in shapes.items()
        if found.get(name, shape) != shape
    ]
    problems += [f"{to_theirs(name)} is missing" for name in shapes if name not in found]
    problems += [f"{file.theirs[name]} has no place" for name in found if name not in shapes]
    more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
    raise UserError(f"{file.file}: does not fit: {reason} ({', '.join(problems[:4])}{more})")


def _differences(net: Numbers, arch: Arch) -> Iterator[str]:
    for gene, asked in zip(arch.space.genes, arch.values, strict=True):
        if gene.path == "resolution":
            continue
        try:
            found = numbers.value(net, gene.path)
        except UserError:  # one number for a stage whose blocks differ
            found = None
        if found != asked:
            yield f"{gene.path} is {found or 'of several kinds'} in the file, {asked or 'none'} asked"


def _with_resolution(net: Numbers, asked: int | None) -> tuple[Numbers, str]:
    if asked is not None:
        if not 1 <= asked <= litepose_json.LARGEST:
            raise UserError(f"resolution {asked}: expected pixels, from 1 to {litepose_json.LARGEST}")
        return net._replace(resolution=asked), f"resolution {asked}, as asked"
    for name in published():
        arch = resolve(name).subnet.arch
        if arch.space.family.name == "litepose" and not list(_differences(net, arch)):
            size = arch.input[0]
            return net._replace(resolution=size), f"the numbers are those of {name}, so resolution {size}"
    note = f"no tensor tells the resolution; taken to be {DEFAULT_RESOLUTION}"
    return net._replace(resolution=DEFAULT_RESOLUTION), note
