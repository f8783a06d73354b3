"""Showing values, names and texts that a stranger may have written: short, and without codes that a screen obeys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

NAME = 60  # letters of a name in a list


def clean(text: str) -> str:
    """Text as any terminal or file can hold it: half characters, line ends and colours written out."""
    if text.isprintable():
        return text
    shown = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def clean_lines(text: str) -> str:
    """The same, line by line."""
    return "\n".join(map(clean, text.split("\n")))


def in_html(text: str) -> str:
    return escape(clean_lines(text))


def short(value: object, most: int = 60) -> str:
    """The first letters of a value's repr; the whole is never made, for of aliases in YAML it can be gigabytes."""
    if type(value) is int:  # the ids of a hundred thousand records
        return repr(value)[:most]
    text = ""
    for piece in _pieces(value, most):
        text += piece
        if len(text) >= most:
            break
    return text[:most]


def some(names: Sequence[object], most: int = 8) -> str:
    """The first of some names, and how many there are beside them."""
    shown = ", ".join(f"{name!s:.{NAME}}" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _pieces(value: object, most: int) -> Iterator[str]:
    if isinstance(value, str | bytes):
        yield repr(value[:most])
    elif isinstance(value, Mapping):
        yield "{"
        for place, (key, item) in enumerate(value.items()):
            yield ", " if place else ""
            yield from _pieces(key, most)
            yield ": "
            yield from _pieces(item, most)
        yield "}"
    elif isinstance(value, list | tuple | set | frozenset):
        begin, end = ("[", "]") if isinstance(value, list) else ("(", ")") if isinstance(value, tuple) else ("{", "}")
        yield begin
        for place, item in enumerate(value):
            yield ", " if place else ""
            yield from _pieces(item, most)
        yield "," * (isinstance(value, tuple) and len(value) == 1)
        yield end
    else:
        yield repr(value)
