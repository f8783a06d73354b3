"""MATLAB's files of version 5 to 7, as far as arrays of numbers, texts and cells of those go.

Read here and not by scipy, which ends the whole process on some damaged files.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = 128  # bytes in front of the first variable
MOST_BYTES = 1 << 28  # of a variable when it is unpacked; those of MPII take a few million
DEEPEST = 4  # cells within cells
MATRIX, COMPRESSED = 14, 15
CELL, CHAR = 1, 4
# How numbers are stored, and the classes of arrays that hold them.
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMERIC = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
TEXTS = {1: "utf-8", 2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}


class Element(NamedTuple):
    kind: int
    data: memoryview


def variables(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name, without those of other classes; a ValueError if it is damaged or no such file."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or data[124:126] != struct.pack(f"{order}H", 0x0100):
        raise ValueError("its first bytes are not those of version 5 to 7")
    found: dict[str, NDArray[Any]] = {}
    for element in _elements(memoryview(data)[HEADER:], order):
        if element.kind == COMPRESSED:
            element = _elements(memoryview(_unpacked(element.data)), order)[0]
        if element.kind == MATRIX:
            name, array = _array(element.data, order, 0)
            if array is not None:
                found[name] = array
    return found


def _elements(data: memoryview, order: str) -> list[Element]:
    """What lies one after the other: a kind and its bytes, each padded to eight."""
    found, at = [], 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        begin = at + 8
        if kind >> 16:  # a short one: its bytes follow in the same eight
            kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
        if begin + size > len(data) or (begin == at + 4 and size > 4):
            raise ValueError("it is cut off or damaged")
        found.append(Element(kind, data[begin : begin + size]))
        at = at + 8 if begin == at + 4 else begin + size + (0 if kind == COMPRESSED else -size % 8)
    return found


def _unpacked(data: memoryview) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise ValueError("what is packed in it is damaged") from error
    if not unpacker.eof or len(found) < 8:
        raise ValueError("what is packed in it is cut off, or too large")
    return found


def _array(data: memoryview, order: str, depth: int) -> tuple[str, NDArray[Any] | None]:
    """The name and the values of an array; None for a class that is not read."""
    if not len(data):
        return "", np.zeros((0, 0))  # an empty cell
    flags, sizes, name, *rest = _elements(data, order) + [Element(0, memoryview(b""))] * 3
    if len(flags.data) < 4 or sizes.kind != 5 or len(sizes.data) % 4 or not 8 <= len(sizes.data) <= 32:
        raise ValueError("an array in it is damaged")
    kind = struct.unpack_from(f"{order}I", flags.data)[0] & 0xFF
    shape = tuple(struct.unpack(f"{order}{len(sizes.data) // 4}i", sizes.data))
    if min(shape, default=0) < 0 or math.prod(shape) > MOST_BYTES:
        raise ValueError("an array in it has no size that can be")
    if kind in NUMERIC:
        return _text(name), _numbers(rest[0], shape, order).astype(NUMERIC[kind])
    if kind == CHAR:
        return _text(name), np.array([_letters(rest[0], order)])
    if kind == CELL and depth < DEEPEST:
        inner = [_array(one.data, order, depth + 1)[1] for one in rest if one.kind == MATRIX]
        if len(inner) != math.prod(shape):
            raise ValueError("a cell in it is damaged")
        cells = np.empty(len(inner), object)
        for place, one in enumerate(inner):
            cells[place] = one
        return _text(name), cells.reshape(shape, order="F")
    return _text(name), None


def _numbers(stored: Element, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    if stored.kind not in STORED:
        raise ValueError("an array in it has no numbers")
    kind = np.dtype(f"{order}{STORED[stored.kind]}")
    if len(stored.data) != math.prod(shape) * kind.itemsize:
        raise ValueError("an array in it has another size than it says")
    return np.frombuffer(stored.data, kind).reshape(shape, order="F")


def _letters(stored: Element, order: str) -> str:
    code = TEXTS.get(stored.kind, "utf-8")
    if code != "utf-8":
        code += "-le" if order == "<" else "-be"
    return bytes(stored.data).decode(code, "replace")


def _text(name: Element) -> str:
    return bytes(name.data).decode("latin-1")
