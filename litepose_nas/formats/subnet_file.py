"""subnet.json: one architecture of a space, its joints and its cost, and whatever else is known about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from litepose_nas import costs, files, resources, space_file, sums
from litepose_nas.costs import MOST_PARAMS, Cost
from litepose_nas.errors import UserError, nearest
from litepose_nas.formats import json_file, litepose_json, litepose_numbers
from litepose_nas.space import Arch, Space
from litepose_nas.untrusted.display import short

VERSION = 1
# The last is in files of weights.
KEYS = ("schema_version", sums.SUM, "space", "space_tree", "arch", "input", "joints", "cost", "digest")
NEEDED = ("schema_version", "space", "arch", "joints")
EXPECTED = f"a subnet.json (keys {', '.join(NEEDED)}, ...) or LitePose's JSON (keys {', '.join(litepose_json.KEYS)})"
MOST_JOINTS = 10_000


class Subnet(NamedTuple):
    """One architecture with its joints; `info` is what else its file says: a score, where it comes from."""

    arch: Arch
    joints: int
    info: Mapping[str, Any] = MappingProxyType({})

    @property
    def input(self) -> tuple[int, int]:
        """Height and width of the picture the network takes."""
        return self.arch.input

    @property
    def cost(self) -> Cost:
        return costs.cost(self.arch, joints=self.joints)

    def to_json(self) -> dict[str, Any]:
        """Return the data of its subnet.json; a space that is not a shipped one goes along whole."""
        if taken := sorted(set(KEYS) & set(self.info)):
            raise UserError(f"subnet: the key `{taken[0]}` of `info` belongs to the file itself; name it otherwise")
        space = self.arch.space
        return {
            "schema_version": VERSION,
            "space": space.name,
            **({} if is_shipped(space) else {"space_tree": json.loads(space.source)}),
            "arch": self.arch.to_dict(),
            "input": list(self.input),
            "joints": self.joints,
            "cost": self.cost._asdict(),
            **self.info,
        }


def read(path: str | Path, joints: int | None = None) -> Subnet:
    """Return what a subnet.json or a JSON of LitePose's own says; the latter has no joints: 17 unless told."""
    data = json_file.read(path, EXPECTED)
    if isinstance(data, dict) and sums.wrong(data):
        raise UserError(
            f"{path}: changed since it was written, for its sum is that of other contents; restore it from a copy, or, "
            f"if you have edited it, remove the line `{sums.SUM}`"
        )
    return from_json(data, str(path), joints)


def write(path: str | Path, subnet: Subnet) -> None:
    files.write(path, json.dumps(sums.added(subnet.to_json()), indent=2, allow_nan=False) + "\n")


def from_json(data: Any, where: str, joints: int | None = None) -> Subnet:
    """Return what the data of a JSON file says; `where` begins every error."""
    if not isinstance(data, dict):
        raise UserError(f"{where}: expected {EXPECTED}, got {short(data)}")
    if litepose_json.recognises(data) and "arch" not in data:
        arch = litepose_numbers.to_arch(litepose_json.numbers(data, where))
        return checked(Subnet(arch, check_joints(17 if joints is None else joints, where)), where)
    for key in NEEDED:
        if key not in data:
            hint = nearest(key, [short(name)[1:-1] for name in data][:20])
            raise UserError(f"{where}: missing key `{key}`; {hint}; expected {EXPECTED}")
    if data["schema_version"] != VERSION or isinstance(data["schema_version"], bool):
        version = short(data["schema_version"])
        raise UserError(f"{where}: schema_version is {version}, this program reads {VERSION}; update one of the two")
    space = read_space(data["space"], data.get("space_tree"), where)
    values = data["arch"]
    if not isinstance(values, dict) or any(len(path) > 200 or _is_long(value) for path, value in values.items()):
        raise UserError(f"{where}: arch: expected a map from gene path to value, got {short(values)}")
    try:
        arch = space.arch(values)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    own = check_joints(data["joints"], where)
    info = {key: value for key, value in data.items() if key not in KEYS}
    subnet = checked(Subnet(arch, own if joints is None else check_joints(joints, where), info), where)
    if "input" in data and data["input"] != list(subnet.input):
        raise UserError(
            f"{where}: input is {short(data['input'])}, but the resolution in arch means {list(subnet.input)}"
        )
    return subnet


def read_space(name: Any, tree: Any, where: str) -> Space:
    """Return the shipped space of that name, or the one whose whole tree the file carries."""
    if not isinstance(name, str) or len(name) > 500:
        raise UserError(f"{where}: space: expected the name of a search space, got {short(name)}")
    shipped = resources.names("search_spaces", ".yaml")
    if tree is None:
        if name not in shipped:  # never a path: reading a file must not lead to reading others
            raise UserError(
                f"{where}: space: {name!r} is not one, and there is no `space_tree`; {nearest(name, shipped)}"
            )
        return Space.load(name)
    if not isinstance(tree, dict):
        raise UserError(f"{where}: space_tree: expected a mapping with the key `family`, got {short(tree)}")
    try:
        return Space(tree, name=name)
    except UserError as error:
        raise UserError(f"{where}: space_tree: {error}") from error


def is_shipped(space: Space) -> bool:
    """Tell whether the space is, name and tree, one that comes with this installation."""
    if space.name not in resources.names("search_spaces", ".yaml"):
        return False
    tree = space_file.read(resources.find(space.name, "search_spaces", ".yaml"))
    return json.dumps(tree, default=str) == space.source


def _is_long(value: Any) -> bool:
    return (isinstance(value, int) and abs(value) > litepose_json.LARGEST) or (
        isinstance(value, str) and len(value) > 500
    )


def check_joints(joints: Any, where: str) -> int:
    if type(joints) is not int or not 1 <= joints <= MOST_JOINTS:
        raise UserError(f"{where}: joints: expected a whole number from 1 to {MOST_JOINTS}, got {short(joints)}")
    return joints


def checked(subnet: Subnet, where: str) -> Subnet:
    """Return the subnet if it is a network that can be built; refuse it otherwise."""
    try:
        params = subnet.cost.params
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:  # words where a plan expects numbers
        raise UserError(f"{where}: arch: does not describe a network ({str(error)[:200]})") from error
    if params > MOST_PARAMS:
        raise UserError(f"{where}: a network of {params:,} parameters; more than {MOST_PARAMS:,} is no pose network")
    return subnet
