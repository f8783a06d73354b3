"""The network of a temporal group's key frames: trained before, put into the space and its supernet, and left alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from litepose_nas import weights
from litepose_nas.data.pixels import DEFAULT
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.families.temporal import KEY
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.resolve import resolve
from litepose_nas.space import Space, input_size
from litepose_nas.supernet import Supernet
from litepose_nas.train.recipe import Recipe


def space_with_key(space: Space, key: str | None) -> Space:
    """A temporal space with a trained network for its key frames; any other space as it is."""
    if not space.task.clips:
        if key is not None:
            raise UserError(f"--key {key}: {space.name} has no key frames; leave it out")
        return space
    if key is None:
        raise UserError(
            f"{space.name}: the key frames of a temporal space need a trained network of one person at a time; "
            "name its .safetensors with --key"
        )
    subnet = key_network(key)
    arch, tree = subnet.arch, json.loads(space.source)
    fitting = [value for value in space.resolutions if input_size(value) == arch.input]
    if not fitting:
        (h, w), offered = arch.input, ", ".join(map(str, space.resolutions))
        raise UserError(f"--key {key}: it takes {h}x{w}, {space.name} offers {offered}; use one")
    node = _plain(arch.tree)
    node.pop("resolution")
    tree["resolution"] = fitting[0]
    tree[KEY] = {"family": json.loads(arch.space.source)["family"], **node}
    return Space(tree, name=space.name)


def key_network(key: str) -> Subnet:
    found = resolve(key)
    if found.weights is None:
        raise UserError(f"--key {key}: an architecture without weights; name a .safetensors file")
    if not found.subnet.arch.space.task.once_a_person:
        raise UserError(f"--key {key}: not a network that sees one person at a time; give one that does")
    return found.subnet


def check_key(key: str | None, skeleton: Skeleton, recipe: Recipe) -> None:
    """Refuse a key network whose heatmaps are of other joints, or drawn in another way, than those of later frames."""
    if key is None:
        return
    subnet = key_network(key)
    names = subnet.info.get("keypoints")
    if subnet.joints != len(skeleton.names) or (names is not None and list(names) != list(skeleton.names)):
        raise UserError(
            f"--key {key}: its joints are not those of the data; give a network trained on people with the same joints"
        )
    for setting, what, plain in (("codec", "heatmaps", "plain"), ("pixels", "pictures", DEFAULT)):
        its, asked = subnet.info.get(setting, plain), getattr(recipe, setting)
        if its != asked:
            raise UserError(f"--key {key}: its {what} are {its} ones; train with {setting}={its}, not {asked}")


def load_key(supernet: Supernet, key: str | None) -> None:
    if key is None:
        return
    mine = supernet.store.state_dict()
    with torch.no_grad():
        for name, tensor in weights.load(Path(key)).state_dict().items():
            mine[f"{KEY}.{name}"].copy_(tensor)


def _plain(node: Any) -> Any:
    """The tree of an architecture as a space's file would say it, blocks past the depth left out."""
    if isinstance(node, SimpleNamespace):
        tree = {key: _plain(value) for key, value in vars(node).items()}
        return {**tree, "blocks": tree["blocks"][: tree["depth"]]} if "blocks" in tree else tree
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node
