"""Reading an op set: YAML that is only data, and errors that name file, line and key."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litepose_nas import resources, space_file
from litepose_nas.blocks.graph import ACTIVATIONS
from litepose_nas.errors import UserError, nearest
from litepose_nas.targets.op_set import KernelRule, OpSet

FOLDER, SUFFIX = "op_sets", ".yaml"
LARGEST_KERNEL, MOST_CHANNELS = 99, 1024
KINDS = ("convolution", "depthwise", "transposed")
KEYS = ("about", "document", *KINDS, "activations", "attention", "channels")
KIND_KEYS = ("kernels", "largest", "grouped")


def find(what: str) -> Path:
    """The file that a name (of a shipped op set) or a path stands for."""
    return resources.find(what, FOLDER, SUFFIX)


def load(what: str) -> OpSet:
    path = find(what)
    tree = space_file.read(path, "what a target can run, such as `depthwise: {largest: 5}`")
    with space_file.naming(path):
        return from_tree(tree, path.stem)


def from_tree(tree: Mapping[str, Any], name: str) -> OpSet:
    """The op set that a mapping describes; unknown keys and what would allow nothing are refused."""
    for key in tree:
        if key not in KEYS:
            raise UserError(f"{key}: unknown key `{key}`; {nearest(key, KEYS)}")
    for key in ("about", "document"):
        if not isinstance(tree.get(key, ""), str):
            raise UserError(f"{key}: expected text, got {reprlib.repr(tree[key])}")
    rules = {kind: _kernel_rule(kind, tree[kind]) for kind in KINDS if kind in tree}
    found = OpSet(
        name,
        str(tree.get("about", "")),
        " ".join(str(tree.get("document", "")).split()),
        **rules,
        activations=_activations(tree["activations"]) if "activations" in tree else None,
        attention=_yes_or_no("attention", tree.get("attention", True)),
        channels=_whole("channels", tree.get("channels", 1), MOST_CHANNELS),
    )
    if not found.rules(1):
        raise UserError(f"the top level: it forbids nothing; say a rule with one of {', '.join(KEYS[2:])}")
    return found


def _kernel_rule(kind: str, node: Any) -> KernelRule:
    if isinstance(node, bool):
        return KernelRule(runs=node)
    if not isinstance(node, Mapping):
        raise UserError(f"{kind}: expected false, or a mapping with {_any_of(KIND_KEYS)}, got {reprlib.repr(node)}")
    keys = KIND_KEYS if kind != "depthwise" else KIND_KEYS[:2]  # a depthwise convolution is grouped by its nature
    for key in node:
        if key not in keys:
            raise UserError(f"{kind}.{key}: unknown key `{key}`; {nearest(key, keys)}")
    kernels = node.get("kernels", [])
    if not isinstance(kernels, list) or ("kernels" in node and not kernels):
        raise UserError(f"{kind}.kernels: expected a list of sizes, such as [1, 3, 5], got {reprlib.repr(kernels)}")
    return KernelRule(
        kernels=tuple(_whole(f"{kind}.kernels", size, LARGEST_KERNEL) for size in kernels),
        largest=_whole(f"{kind}.largest", node["largest"], LARGEST_KERNEL) if "largest" in node else 0,
        grouped=_yes_or_no(f"{kind}.grouped", node.get("grouped", True)),
    )


def _activations(node: Any) -> tuple[str, ...]:
    if not isinstance(node, list):
        raise UserError(f"activations: expected a list of {_any_of(ACTIVATIONS)}, got {reprlib.repr(node)}")
    for word in node:
        if word not in ACTIVATIONS:
            raise UserError(
                f"activations: {reprlib.repr(word)} is none that networks here have; {nearest(word, ACTIVATIONS)}"
            )
    return tuple(word for word in ACTIVATIONS if word in node)


def _yes_or_no(path: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{path}: expected true or false, got {reprlib.repr(value)}")
    return value


def _whole(path: str, value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise UserError(f"{path}: expected a whole number from 1 to {most}, got {reprlib.repr(value)}")
    return value


def _any_of(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
