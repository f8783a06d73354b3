"""Parsing YAML that a stranger may have written: data only, and hardly larger than its text.

Nine lines of aliases, each of ten times the line before, are a gigabyte to whoever walks through them.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_SIZE = 1 << 20  # letters and nodes, aliases written out
MAX_DEPTH = 100
MAX_DIGITS = 300  # of a number: those of millions take minutes, and cannot be printed
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

Measured = dict[int, "tuple[int, int] | None"]  # by node, None while what is inside is being measured


def load(text: str) -> Any:
    """The data in a text; a YAMLError or ValueError where there is none that can be used."""
    return construct(compose(text))


def compose(text: str) -> yaml.Node | None:
    """The nodes of a text, which still know their lines."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _measure(node, {})
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return node


def construct(node: yaml.Node | None) -> Any:
    if node is None:
        return None
    try:
        return yaml.SafeLoader("").construct_document(node)
    except (yaml.YAMLError, ValueError):
        raise
    except Exception as error:  # what a tag such as !!bool promises need not be there
        raise ValueError(f"a value that is not what it is called ({type(error).__name__}: {error})") from error


def _measure(node: yaml.Node, known: Measured) -> tuple[int, int]:
    """Letters and nodes in a node, and how deep they are nested; refuse more than anybody writes."""
    line = f"line {node.start_mark.line + 1}"
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise ValueError(f"{line}: an alias contains itself")
        return found
    known[id(node)] = None
    size, depth = 1, 0
    if isinstance(node, yaml.ScalarNode):
        size += len(node.value)
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise ValueError(f"{line}: a number of {len(node.value)} letters")
    else:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
        for inner, below in (_measure(part, known) for part in parts):
            size, depth = size + inner, max(depth, below + 1)
    if depth > MAX_DEPTH:
        raise ValueError(f"{line}: nested too deep")
    if size > MAX_SIZE:
        raise ValueError(f"{line}: with its aliases written out it is larger than {MAX_SIZE >> 20} MB")
    known[id(node)] = size, depth
    return size, depth
