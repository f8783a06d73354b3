"""Supernets that start from weights: of other programs, or our own networks and supernets, perhaps of other joints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from litepose_nas import weights
from litepose_nas.errors import UserError
from litepose_nas.formats import json_file, subnet_file, tensor_file
from litepose_nas.importers import foreign, litepose
from litepose_nas.importers.checkpoint import read_checkpoint
from litepose_nas.importers.foreign import Foreign
from litepose_nas.importers.report import ImportReport
from litepose_nas.resolve import METADATA, SUPERNET_METADATA, subnet_of
from litepose_nas.space import Arch, Space
from litepose_nas.supernet import Supernet, extract


class Start(NamedTuple):
    """What a supernet was started from."""

    report: ImportReport
    pixels: str | None  # the convention of the pictures these weights are used to, where the file says


def init_supernet(supernet: Supernet, path: str | Path) -> Start:
    """Copy the weights in a file into the windows of the architecture they are for; what the file lacks stays.

    A file that does not fit is refused, and the supernet is as it was.
    """
    metadata = _metadata(path)
    if SUPERNET_METADATA in metadata:
        return _from_supernet(supernet, path, metadata[SUPERNET_METADATA])
    if METADATA in metadata:
        file = _own_network(path)
        return Start(_fill(supernet, file), file.pixels or None)
    state = read_checkpoint(path)
    if foreign.is_litepose(state):
        return Start(litepose.init_supernet(supernet, path), None)
    file = foreign.read(path, state)
    return Start(_fill(supernet, file), file.pixels)


def import_supernet(path: str | Path, space: str | Space, joints: int | None = None) -> tuple[Supernet, Start]:
    """Return a new supernet of a space, started from the weights in a file."""
    metadata = _metadata(path)
    if not is_own(path) and foreign.is_litepose(read_checkpoint(path)):
        supernet, report = litepose.import_supernet(path, space, joints)
        return supernet, Start(report, None)
    space = Space.load(space) if isinstance(space, str) else space
    if joints is None:
        joints = _joints(path, space, metadata)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        supernet = Supernet(space, subnet_file.check_joints(joints, str(path)))
    return supernet, init_supernet(supernet, path)


def _joints(path: str | Path, space: Space, metadata: Mapping[str, str]) -> int:
    """Return the joints that a file is for, 17 where it does not tell."""
    for key in (METADATA, SUPERNET_METADATA):
        if key in metadata:
            data = json_file.parse(metadata[key], f"{path}, metadata", "the description of a network")
            return subnet_file.check_joints(data.get("joints") if isinstance(data, dict) else None, str(path))
    file = foreign.read(path)
    return foreign.file_joints(file, _point(space, file)) or 17


def is_own(path: str | Path) -> bool:
    """Tell whether this program wrote a file, a network or a supernet."""
    return bool({METADATA, SUPERNET_METADATA} & _metadata(path).keys())


def _metadata(path: str | Path) -> Mapping[str, str]:
    """Return what a .safetensors file says of itself, nothing for other files."""
    try:
        return tensor_file.read_header(path).metadata
    except UserError:
        return {}


def _own_network(path: str | Path) -> Foreign:
    subnet = subnet_of(path)
    tensors = {name: tensor.detach() for name, tensor in weights.load(path).state_dict().items()}
    name = f"a network of {subnet.arch.space.name}"
    return _as_foreign(path, name, tensors, subnet.arch, subnet.info.get("pixels"))


def _as_foreign(path: str | Path, name: str, tensors: dict[str, Tensor], arch: Arch, pixels: object) -> Foreign:
    """Return weights of our own as an importer sees any; no tensor depends on the input size."""
    told = {gene: value for gene, value in foreign.genes_of(arch).items() if gene != "resolution"}
    names = dict(zip(tensors, tensors, strict=True))
    return Foreign(str(path), name, arch.space.family.name, tensors, names, {}, told, str(pixels or ""))


def _from_supernet(supernet: Supernet, path: str | Path, text: str) -> Start:
    """Start from another supernet: all of it where it is of the same space, else its widest network."""
    loaded = weights.load_supernet(path)
    pixels = json_file.parse(text, f"{path}, metadata", "the description of a supernet").get("pixels")
    same = loaded.space == supernet.space and loaded.kernel_maps == supernet.kernel_maps
    net = loaded.store.state_dict() if same else extract(loaded, loaded.space.widest).state_dict()
    name = f"a supernet of {loaded.space.name}" + ("" if same else ", its widest network")
    file = _as_foreign(path, name, net, loaded.space.widest, pixels)
    return Start(_fill_whole(supernet, file) if same else _fill(supernet, file), pixels)


def _fill_whole(supernet: Supernet, file: Foreign) -> ImportReport:
    """Copy a store into one of the same space, but for outputs of other joints."""
    mine = supernet.store.state_dict()
    fits = [name for name, tensor in mine.items() if file.tensors[name].shape == tensor.shape]
    other = [name for name in mine if name not in fits]
    with torch.no_grad():
        for name in fits:
            mine[name].copy_(file.tensors[name])
    shapes = weights.shapes(mine)
    notes = [f"its outputs are for other joints: {', '.join(other)} as at the start of a training"] if other else []
    return ImportReport(
        file.file,
        f"{file.name}, as a supernet of {supernet.space.name}, {supernet.joints} joints",
        matched=tuple(fits),
        unmatched=tuple((name, tuple(file.tensors[name].shape)) for name in other),
        missing=tuple((name, shapes[name]) for name in other),
        notes=tuple(notes),
    )


def _point(space: Space, file: Foreign) -> Arch:
    foreign.check_family(file, space)
    told = all(gene.path in file.genes for gene in space.genes if gene.path != "resolution" and not gene.gates)
    return foreign.point(space, file.genes, file.file, {} if told else foreign.nearest_point(file)[0].arch.to_dict())


def _fill(supernet: Supernet, file: Foreign) -> ImportReport:
    arch = _point(supernet.space, file)
    subnet = subnet_file.Subnet(arch, supernet.joints)
    told = {path: value for path, value in arch.to_dict().items() if path in file.genes}
    notes = ["its place: " + ", ".join(f"{path} {value}" for path, value in told.items())]
    what = f"a supernet of {supernet.space.name}, {supernet.joints} joints"
    state, report = foreign.fit(file, subnet, what, notes)
    litepose.copy_into(supernet, arch, state)
    return report
