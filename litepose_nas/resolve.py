"""What a user may name where a network is wanted: a published one, a JSON, a file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import resources, sums
from litepose_nas.errors import UserError, nearest
from litepose_nas.formats import json_file, subnet_file, tensor_file
from litepose_nas.formats.subnet_file import Subnet

METADATA = "litepose_nas"  # the key under which a .safetensors file holds its subnet.json
SUPERNET_METADATA = "litepose_nas_supernet"
DIGEST = "digest"  # of the tensors and of what is said of them
CHANGED = (
    "damaged: it does not hold what was written into it; restore it from a copy, or make it anew with the command that "
    "wrote it"
)
ACCEPTED = (
    "a name in mobile_configs/, a subnet.json, a JSON of LitePose's own, or a .safetensors file written by this program"
)


class Resolved(NamedTuple):
    """What a target stands for, and the file of its weights where it has some that fit."""

    subnet: Subnet
    weights: Path | None


def resolve(target: str | Path, joints: int | None = None) -> Resolved:
    """The network that a target names; weights of another number of joints than asked for are left out."""
    path = Path(target)
    name = str(target)
    if name in published():
        return Resolved(subnet_file.read(resources.find(name, "mobile_configs", ".json"), joints), None)
    if name in resources.names("search_spaces", ".yaml") or (path.suffix == ".yaml" and path.is_file()):
        way = f"draw networks of it with: litepose-nas space sample {name} --out DIR"
        raise UserError(f"{name}: a search space, not one network; {way}")
    if not path.exists():
        place = "no such file" if path.suffix in (".json", ".safetensors") else "neither a file nor a published network"
        raise UserError(f"{name}: {place}; {nearest(name, published())}; accepted: {ACCEPTED}")
    if path.is_dir():
        raise UserError(f"{name}: a folder; accepted: {ACCEPTED}")
    if path.suffix == ".safetensors":
        own = subnet_of(path)
        if joints is None or joints == own.joints:
            return Resolved(own, path)
        return Resolved(subnet_file.checked(own._replace(joints=joints), name), None)
    if path.suffix == ".json":
        return Resolved(subnet_file.read(path, joints), None)
    raise UserError(
        f"{name}: not a kind of file that says what network it is; accepted: {ACCEPTED}; "
        "a checkpoint of another program becomes one by `litepose-nas import`"
    )


def published() -> list[str]:
    return resources.names("mobile_configs", ".json")


def subnet_of(path: str | Path) -> Subnet:
    metadata = tensor_file.read_header(path).metadata
    if METADATA in metadata:
        data = description(path, metadata[METADATA], subnet_file.EXPECTED)
        return subnet_file.from_json(data, f"{path}, metadata")
    if SUPERNET_METADATA in metadata:
        raise UserError(f"{path}: a supernet, not one network; `litepose-nas extract` makes a network of it")
    raise UserError(
        f"{path}: no metadata that says what network it is; a checkpoint of another program becomes one by "
        "`litepose-nas import`"
    )


def description(path: str | Path, text: str, expected: str) -> Any:
    """What a file of weights says of its network; its tensors need not be read to see that nothing changed that."""
    data = json_file.parse(text, f"{path}, metadata", expected)
    if isinstance(data, dict) and sums.wrong({key: value for key, value in data.items() if key != DIGEST}):
        raise UserError(f"{path}: {CHANGED}")
    return data
