"""Weights of other programs into networks: what all layouts have in common. What each has of its own, its file says.

No tensor tells everything: the input size, and the head of a pose network where a file holds a classifier, are those of
the family's published network that is most like the file's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from litepose_nas import network, resources, space_file, weights
from litepose_nas.errors import UserError
from litepose_nas.formats import json_file, subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.importers import litepose
from litepose_nas.importers.checkpoint import read_checkpoint
from litepose_nas.importers.layout import Layout, rename, translate
from litepose_nas.importers.layouts import LAYOUTS
from litepose_nas.importers.report import ImportReport, Shape
from litepose_nas.network import Network
from litepose_nas.resolve import published, resolve
from litepose_nas.space import Arch, Space, Value, input_size

COUNTER = ".num_batches_tracked"  # of a batch normalisation; nothing computes with it, and old files have none


class Foreign(NamedTuple):
    """The tensors of a file under our names, in our arrangement."""

    file: str
    name: str  # of the layout
    family: str
    tensors: dict[str, Tensor]
    theirs: dict[str, str]  # our name -> the file's
    idle: dict[str, Shape]  # the file's names that have no place here
    genes: dict[str, Value]  # what the shapes tell
    pixels: str


def is_litepose(state: Mapping[str, Tensor]) -> bool:
    """Tell whether a checkpoint is of LitePose, whose importer also knows its supernets and their kernel maps."""
    return any(litepose.is_known(name) for name in state)


def read(path: str | Path, state: Mapping[str, Tensor] | None = None) -> Foreign:
    """Return the tensors of a checkpoint in any layout that is known; it may have been read already."""
    state = read_checkpoint(path) if state is None else state
    layout = next((layout for layout in LAYOUTS if layout.recognises(state.keys())), None)
    if layout is None:
        names = ", ".join(["the released LitePose", *(layout.name for layout in LAYOUTS)])
        raise UserError(
            f"{path}: none of its {len(state)} tensors belongs to a network that is known (the first is "
            f"{next(iter(state))!r}); known: {names}"
        )
    try:
        unpacked = layout.unpack(state)
        found, theirs, idle = rename(unpacked, lambda name: translate(name, layout.names, layout.less), str(path))
        if not found:
            raise UserError(f"{path}: looks like {layout.name}, but none of its {len(state)} tensors has a place here")
        tensors = {ours: _arranged(layout, ours, tensor, f"{path}: {theirs[ours]}") for ours, tensor in found.items()}
        genes = layout.genes(tensors)
    except (LookupError, ValueError, ArithmeticError, RuntimeError) as error:
        raise UserError(f"{path}: no whole {layout.name} ({error}); is it cut short?") from error
    return Foreign(str(path), layout.name, layout.family, tensors, theirs, idle, genes, layout.pixels)


def _arranged(layout: Layout, name: str, tensor: Tensor, where: str) -> Tensor:
    try:
        return layout.convert(name, tensor)
    except (RuntimeError, ValueError, IndexError) as error:
        raise UserError(f"{where}: {list(tensor.shape)} is no shape of {layout.name} ({error})") from error


def import_weights(
    path: str | Path,
    arch: str | Path | Arch | None = None,
    joints: int | None = None,
    resolution: int | str | None = None,
) -> Network:
    """Return the network in a released checkpoint, ready to predict or to go on from; `meta["imported"]` is the report.

    What the tensors tell of architecture and joints is read off them unless given. From a classifier only the backbone
    comes: the head stays as it is drawn, always alike, and the report says so.
    """
    state = read_checkpoint(path)
    if is_litepose(state):
        return litepose.import_weights(path, arch, joints, None if resolution is None else _square(resolution))
    file = read(path, state)
    subnet, notes = _network_of(file, arch, joints, resolution)
    source = {"imported_from": Path(path).name, "layout": file.name}
    subnet = subnet._replace(info={"source": source, "pixels": file.pixels})
    what = f"{subnet.arch.space.name}, {subnet.joints} joints, {subnet.input[0]}x{subnet.input[1]} px"
    taken, report = fit(file, subnet, what, notes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = network.build(subnet.arch, subnet.joints)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name in taken:
                tensor.copy_(taken[name])
    net.meta = {**subnet.to_json(), "imported": report}
    return net.eval()


def _square(resolution: int | str) -> int:
    height, width = input_size(resolution)
    if height != width:
        raise UserError(f"resolution {resolution}: a LitePose takes squares, such as {height}")
    return height


# ── which network ──


def _network_of(
    file: Foreign, arch: str | Path | Arch | None, joints: int | None, resolution: int | str | None
) -> tuple[Subnet, list[str]]:
    """Return the network that a file is for, and notes on what was not told by its tensors."""
    if joints is not None:
        subnet_file.check_joints(joints, file.file)
    if arch is not None:
        if resolution is not None:
            raise UserError(f"resolution {resolution}: the architecture has its own; leave one of the two out")
        found = Subnet(arch, 17) if isinstance(arch, Arch) else resolve(arch).subnet
        check_family(file, found.arch.space)
        return found._replace(joints=joints or file_joints(file, found.arch) or found.joints), []
    like, name = nearest_point(file)
    values = {**like.arch.to_dict(), **file.genes}
    if resolution is not None:
        values["resolution"] = _offered_size(like.arch.space, resolution)
    found_arch = point(like.arch.space, values, file.file)
    rest = sorted({path.partition(".")[0] for path in found_arch.to_dict() if path not in file.genes})
    notes = [f"no tensor tells {', '.join(rest)}: as in {name}"] if rest else []
    return Subnet(found_arch, joints or file_joints(file, found_arch) or like.joints), notes


def nearest_point(file: Foreign) -> tuple[Subnet, str]:
    """Return the family's published network that shares most with a file, or the widest of its shipped space."""
    shipped = resources.names("search_spaces", ".yaml")
    trees = {name: space_file.read(resources.find(name, "search_spaces", ".yaml")) for name in shipped}
    spaces = {name: Space.load(name) for name, tree in trees.items() if tree.get("family") == file.family}
    mine = []
    for name in published():
        data = json_file.read(resources.find(name, "mobile_configs", ".json"), subnet_file.EXPECTED)
        if data["space"] in spaces:  # read no further than needed: there are many, and each has its space
            mine.append((name, Subnet(spaces[data["space"]].arch(data["arch"]), data["joints"])))

    def shared(subnet: Subnet) -> int:
        return sum(subnet.arch.to_dict().get(path) == value for path, value in file.genes.items())

    if mine:
        name, subnet = max(mine, key=lambda pair: shared(pair[1]))
        return subnet, name
    for name, space in spaces.items():
        return Subnet(space.widest, 17), f"the widest of {name}"
    raise UserError(f"{file.file}: {file.name}, but no search space has networks of its family {file.family}")


def check_family(file: Foreign, space: Space) -> None:
    if space.family.name != file.family:
        raise UserError(f"{file.file}: holds {file.name}; {space.name} has networks of another family")


def _offered_size(space: Space, resolution: int | str) -> Value:
    wanted = input_size(resolution)
    for value in space.resolutions:
        if input_size(value) == wanted:
            return value
    raise UserError(f"resolution {resolution}: {space.name} offers {', '.join(map(str, space.resolutions))}")


def point(space: Space, values: Mapping[str, Value], where: str, free: Mapping[str, Value] | None = None) -> Arch:
    """Return the architecture of a space with these values.

    A value that the space fixes is not asked: whether it is the same, the shapes of the tensors tell. A gene without a
    value has that in `free` where it is offered, else the largest.
    """
    free = free or {}
    taken = {}
    for gene in space.genes:
        if gene.path in values and values[gene.path] is not None:
            taken[gene.path] = values[gene.path]
        else:
            own = free.get(gene.path)
            taken[gene.path] = own if own in gene.choices else gene.choices[-1]
    try:
        return space.arch(taken)
    except UserError as error:
        raise UserError(f"{where}: its network is no point of the space {space.name}: {error}") from error


# ── which tensors ──


def output_shapes(arch: Arch) -> dict[str, tuple[Shape, Shape]]:
    """Return the tensors whose shapes depend on the joints, with their shapes for one and for two."""
    one, two = (weights.shapes(weights.skeleton(Subnet(arch, joints)).state_dict()) for joints in (1, 2))
    return {name: (shape, two[name]) for name, shape in one.items() if two[name] != shape}


def file_joints(file: Foreign, arch: Arch) -> int | None:
    """Return the joints that the output layers in a file are for; None where it has none."""
    for name, (one, two) in output_shapes(arch).items():
        if name in file.tensors and file.tensors[name].dim() == len(one):
            axis = next(axis for axis, (a, b) in enumerate(zip(one, two, strict=True)) if a != b)
            each = two[axis] - one[axis]
            rest = file.tensors[name].shape[axis] - (one[axis] - each)
            if rest > 0 and rest % each == 0:
                return rest // each
    return None


def fit(file: Foreign, subnet: Subnet, what: str, notes: list[str]) -> tuple[dict[str, Tensor], ImportReport]:
    """Return the tensors of a file that a network takes, and the report; refuse a file that does not fit.

    A whole part that the file lacks, such as a head, is left out, and so are output layers of other joints. Anything
    else that differs is a mistake.
    """
    wanted = weights.skeleton(subnet).state_dict()
    shapes = weights.shapes(wanted)
    found = weights.shapes(file.tensors)
    own = file_joints(file, subnet.arch)
    other = set(output_shapes(subnet.arch)) & found.keys() if own not in (None, subnet.joints) else set()
    matched = [name for name, shape in shapes.items() if found.get(name) == shape and name not in other]
    wrong = [(name, found[name], s) for name, s in shapes.items() if name in found and found[name] != s]
    wrong = [entry for entry in wrong if entry[0] not in other]
    missing = [name for name in shapes if name not in found and not name.endswith(COUNTER)]
    fresh, holes = _sorted_out([part.name for part in subnet.arch.plan(subnet.joints)], missing, set(matched))
    problems = [f"{file.theirs[name]} is {list(mine)}, not {list(shape)}" for name, mine, shape in wrong]
    problems += [f"no {name}" for name in holes]
    problems += [f"{file.theirs[name]} has no place" for name in found if name not in shapes]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        differing = "; ".join([*_differences(file, subnet.arch), ""])
        raise UserError(f"{file.file}: does not fit: {differing}{', '.join(problems[:4])}{more}")
    if not any(wanted[name].is_floating_point() for name in matched):
        raise UserError(f"{file.file}: none of its tensors belongs to {what}")
    for name in matched:
        if wanted[name].is_floating_point() and not file.tensors[name].is_floating_point():
            raise UserError(f"{file.file}: {file.theirs[name]} holds {file.tensors[name].dtype}; is it quantised?")
    if fresh:
        notes = [*notes, f"not in the file, so as at the start of a training: {', '.join(fresh)}"]
    if other:
        notes = [*notes, f"its outputs are for {own} joints: {', '.join(sorted(other))} as at the start of a training"]
    if file.pixels:
        notes = [*notes, f"pictures as its training had them: pixels={file.pixels}"]
    unused = {**file.idle, **{file.theirs[name]: found[name] for name in sorted(other)}}
    report = ImportReport(
        file.file,
        f"{file.name}, as {what}",
        matched=tuple(matched),
        unmatched=tuple(unused.items()),
        missing=tuple((name, shapes[name]) for name in [*missing, *sorted(other)]),
        notes=tuple(notes),
    )
    return {name: file.tensors[name] for name in matched}, report


def _sorted_out(parts: list[str], missing: list[str], matched: set[str]) -> tuple[list[str], list[str]]:
    """Return the parts of which a file has nothing, and what it lacks of parts that it has."""

    def part(name: str) -> str:
        return max((part for part in parts if name.startswith(f"{part}.")), key=len)

    begun = {part(name) for name in matched if not name.endswith(COUNTER)}
    fresh = dict.fromkeys(part(name) for name in missing if part(name) not in begun)
    return list(fresh), [name for name in missing if part(name) in begun]


def _differences(file: Foreign, arch: Arch) -> Iterator[str]:
    """Yield where an architecture that was asked for is not the file's."""
    asked = arch.to_dict()
    for path, value in file.genes.items():
        if path in asked and asked[path] != value:
            yield f"{path} is {value} in the file, {asked[path]} asked"


def genes_of(arch: Arch) -> dict[str, Any]:
    """Return an architecture's value at every path of its tree, also where its space offers no choice."""
    values: dict[str, Any] = {}

    def walk(node: Any, path: str) -> None:
        if isinstance(node, list):
            for number, item in enumerate(node):
                walk(item, f"{path}.{number}")
        elif hasattr(node, "__dict__"):
            for key, item in vars(node).items():
                walk(item, f"{path}.{key}" if path else key)
        elif node is not None:
            values[path] = node

    walk(arch.tree, "")
    return values
