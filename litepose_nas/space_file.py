"""Reading a search-space file: YAML that is only data, and errors that name file, line and key."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from litepose_nas.errors import UserError, nearest
from litepose_nas.untrusted import yaml_text
from litepose_nas.untrusted.opening import read_text

DESCENDING = {"groups", "patch"}  # more groups or pixels a token make a smaller network; elsewhere more is larger
# Keys whose values are whole numbers, and never nothing.
SIZES = {"stem", "width", "kernel", "expand", "groups", "each"}
VALUES = SIZES | {"depth", "mask", "resolution"}  # keys below which nothing else stands
LARGEST = 1 << 16  # of a number; none of a pose network comes near
LONGEST = 500  # of a word or a path
MOST = 2_000  # numbers and words in a space, its blocks repeated
NESTED = 16


class MissingKeyError(UserError, AttributeError):
    """A key that a plan needs and the tree lacks; an AttributeError too, so that a plan may ask with hasattr."""

    def __init__(self, path: str, key: str, node: Mapping[str, Any]):
        hint = nearest(key, node) if node else "it has none"
        super().__init__(f"{path or 'the top level'}: missing key `{key}`; {hint}")


def read(path: Path, expected: str = "the key `family`") -> dict[str, Any]:
    try:
        nodes = yaml_text.compose(read_text(path))
        tree = yaml_text.construct(nodes)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a 13th month
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected a mapping with {expected}, got {type(tree).__name__}")
    for line, key in _repeated(nodes, set()):
        raise UserError(f"{path}, line {line}: the key `{key}` stands twice; keep one")
    return tree


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file, and the line where it can be found, before any error about a key of it."""
    try:
        yield
    except UserError as error:
        key = str(error).partition(":")[0]
        line = _line(yaml_text.compose(read_text(path)), key.split("."))
        raise UserError(f"{path}{f', line {line}' if line else ''}: {error}") from error


def reach(depth: Any) -> int:
    """How many blocks a depth keeps: itself; of a mask such as 0110, those up to its last 1."""
    return len(depth.rstrip("0")) if isinstance(depth, str) else depth


def generic(path: str) -> str:
    """A path without list numbers: what a plan reads of one stage it reads of all."""
    return re.sub(r"\.\d+(?=\.|$)", "", path)


def check_bounds(tree: Any) -> None:
    """Refuse a tree that is endless, or larger than that of any pose network, before anything is made of it."""
    for count, (path, value) in enumerate(_scalars(tree, "", 0)):
        if count > MOST or (isinstance(value, str) and len(value) > LONGEST):
            raise UserError(f"{path}: too large for a search space of pose networks")


def _scalars(node: Any, path: str, nesting: int) -> Iterator[tuple[str, Any]]:
    """Yield what a tree holds, the inside of `blocks` as often as the space will repeat it."""
    if nesting > NESTED or len(path) > LONGEST:
        raise UserError(f"{path[:100]}...: nested too deep for a search space")
    yield path, node  # of mappings and lists too, so that something empty, repeated without end, counts
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not isinstance(key, str):
                raise UserError(f"{path or 'the top level'}: expected words as keys, got {reprlib.repr(key)}")
            times = 1
            if key == "blocks" and isinstance(value, Mapping):
                depth = node.get("depth")
                depths = [n for n in (depth if isinstance(depth, list) else [depth]) if isinstance(n, int)]
                times = max(depths, default=1)
            for _ in range(times):
                yield from _scalars(value, f"{path}.{key}" if path else key, nesting + 1)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _scalars(value, f"{path}.{i}", nesting + 1)


def is_value(path: str) -> bool:
    """Whether the key at the end of this path has a value or a choice of values, never a structure."""
    return generic(path).rpartition(".")[2] in VALUES


def check_value(path: str, value: Any) -> None:
    """Refuse a value that no plan can use."""
    key = generic(path).rpartition(".")[2]
    got, counts = reprlib.repr(value), key in SIZES or key == "depth"
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        hint = "; quote a word that YAML reads as yes or no" if isinstance(value, bool) and not counts else ""
        raise UserError(f"{path}: expected a whole number{'' if counts else ' or a word'}, got {got}{hint}")
    if key == "kernel":
        even = "head" in path.split(".")  # a deconv that doubles the size
        if not isinstance(value, int) or value % 2 == even:
            raise UserError(f"{path}: expected {'even' if even else 'odd'} kernel sizes, got {got}")
    if key == "mask" and (not isinstance(value, str) or set(value) - {"0", "1"} or not value):
        raise UserError(f'{path}: expected words of 0 and 1 in quotes, such as "0110", got {got}')
    if counts and isinstance(value, str):
        raise UserError(f"{path}: expected a whole number, got {got}")
    least, most = int(key in SIZES), MOST if key == "depth" else LARGEST
    if isinstance(value, int) and not least <= value <= most:
        raise UserError(f"{path}: expected a whole number from {least} to {most}, got {got}")


def check_alike(path: str, items: list[Any]) -> None:
    """Refuse a list of mappings or of lists in which something else stands."""
    for i, item in enumerate(items):
        if _structure(item) != _structure(items[0]):
            got, first = reprlib.repr(item), _structure(items[0])
            raise UserError(f"{path}.{i}: expected {first}, as the first is, got {got}")


def _structure(item: Any) -> str:
    return "a mapping" if isinstance(item, Mapping) else "a list" if isinstance(item, list) else "no mapping or list"


def check_choices(path: str, choices: list[Any]) -> None:
    """Refuse a list that is no choice: empty, of mixed kinds, repeated, or not written smallest network first."""
    if not choices:
        raise UserError(f"{path}: expected at least one choice, got an empty list")
    for value in choices:
        check_value(path, value)
    if len({type(value) for value in choices}) > 1:
        raise UserError(f"{path}: expected choices of one kind, got {choices}")
    if len(set(choices)) < len(choices):
        raise UserError(f"{path}: a choice stands twice in {choices}")
    if generic(path).rpartition(".")[2] == "mask" and choices != sorted(choices, key=reach):
        raise UserError(f"{path}: expected masks whose last 1 stands ever further to the right, got {choices}")
    if isinstance(choices[0], int):
        down = generic(path).rpartition(".")[2] in DESCENDING
        if choices != sorted(choices, reverse=down):
            raise UserError(
                f"{path}: expected {'falling' if down else 'rising'} numbers, smallest network first, got {choices}"
            )


def _repeated(node: yaml.Node | None, visited: set[int]) -> Iterator[tuple[int, str]]:
    if id(node) in visited:  # an alias, perhaps of something that it is part of
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, key.value
            seen.add(key.value)
            yield from _repeated(value, visited)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value, visited)


def _line(node: yaml.Node | None, keys: list[str]) -> int:
    """The line of a key path in a composed file, of the nearest key above it, or 0."""
    line = 0
    while keys:
        if isinstance(node, yaml.MappingNode):
            key, *rest = keys
            found = [(k, v) for k, v in node.value if k.value == key]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
            # `blocks` is written once and repeated: the number after it is no place in the file
            once = key == "blocks" and isinstance(node, yaml.MappingNode)
            keys = rest[1:] if once and rest and rest[0].isdigit() else rest
        elif isinstance(node, yaml.SequenceNode) and keys[0].isdigit() and int(keys[0]) < len(node.value):
            node, keys = node.value[int(keys[0])], keys[1:]
            line = node.start_mark.line + 1
        else:
            break
    return line
