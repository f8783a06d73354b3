"""Reading a search-space file: YAML that is only data, and errors that name file, line and key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from litepose_nas.errors import UserError, nearest

DESCENDING = {"groups"}  # more groups make a smaller network; everywhere else a larger number makes a larger one


class MissingKeyError(UserError, AttributeError):
    """A key that a plan needs and the tree lacks; an AttributeError too, so that a plan may ask with hasattr."""

    def __init__(self, path: str, key: str, node: Mapping[str, Any]):
        super().__init__(f"{path or 'the top level'}: missing key `{key}`; {nearest(key, node)}")


def read(path: Path) -> dict[str, Any]:
    """Return the tree in a YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected a mapping with the key `family`, got {type(tree).__name__}")
    for line, key in _repeated(yaml.compose(text, Loader=yaml.SafeLoader)):
        raise UserError(f"{path}, line {line}: the key `{key}` stands twice; keep one")
    return tree


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file, and the line where it can be found, before any error about a key of it."""
    try:
        yield
    except UserError as error:
        key = str(error).partition(":")[0]
        line = _line(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader), key.split("."))
        raise UserError(f"{path}{f', line {line}' if line else ''}: {error}") from error


def generic(path: str) -> str:
    """Return a path without list numbers: what a plan reads of one stage it reads of all."""
    return re.sub(r"\.\d+(?=\.|$)", "", path)


def check_value(path: str, value: Any) -> None:
    """Refuse a value that no plan can use."""
    key = generic(path).rpartition(".")[2]
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        hint = "; quote a word that YAML reads as yes or no" if isinstance(value, bool) else ""
        raise UserError(f"{path}: expected a whole number or a word, got {value!r}{hint}")
    if isinstance(value, int) and value < 0:
        raise UserError(f"{path}: expected a number from 0 up, got {value}")
    if key == "kernel" and (not isinstance(value, int) or value % 2 == 0):
        raise UserError(f"{path}: expected odd kernel sizes, got {value!r}")


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
    if isinstance(choices[0], int):
        down = generic(path).rpartition(".")[2] in DESCENDING
        if choices != sorted(choices, reverse=down):
            raise UserError(
                f"{path}: expected {'falling' if down else 'rising'} numbers, smallest network first, got {choices}"
            )


def _repeated(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, key.value
            seen.add(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value)


def _line(node: yaml.Node | None, keys: list[str]) -> int:
    """Return the line of a key path in a composed file, of the nearest key above it, or 0."""
    line = 0
    while keys:
        if isinstance(node, yaml.MappingNode):
            key, *rest = keys
            found = [(k, v) for k, v in node.value if k.value == key]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
            # `blocks` is written once and repeated: the number after it is no place in the file
            keys = rest[1:] if key == "blocks" and rest and rest[0].isdigit() else rest
        elif isinstance(node, yaml.SequenceNode) and keys[0].isdigit() and int(keys[0]) < len(node.value):
            node, keys = node.value[int(keys[0])], keys[1:]
            line = node.start_mark.line + 1
        else:
            break
    return line
