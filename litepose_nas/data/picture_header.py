"""How large a picture is, by the first bytes of its file.

A small file may be a huge picture, so this is asked before it is decoded.
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

KINDS = "JPEG, PNG, WebP, BMP, GIF, TIFF, PBM, PGM or PPM"
MAX_PIXELS = 100_000_000  # decoded: three bytes each
# Markers of JPEG that begin a frame, and so are followed by its size: all of C0 to CF but tables and arithmetic.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers that nothing belongs to
MOST_MARKERS = 10_000  # before the frame; what cameras write has some twenty
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")

Size = tuple[int, int]  # width and height


def stored_size(file: BinaryIO) -> Size | None:
    """Width and height of the stored pixels; None of what is none of these kinds, or is damaged at its beginning."""
    head = file.read(1024)
    try:
        size = _size(head, file)
    except (struct.error, OverflowError):  # cut off, or a place beyond any file
        return None
    return size if size is not None and size[0] > 0 < size[1] else None


def _size(head: bytes, file: BinaryIO) -> Size | None:
    if head.startswith(b"\xff\xd8"):
        return _jpeg(file)
    if head.startswith(b"\x89PNG") and head[12:16] == b"IHDR":
        return _two(">II", head, 16)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _two("<HH", head, 6)
    if head.startswith(b"BM"):
        old = struct.unpack_from("<I", head, 14)[0] == 12
        width, height = _two("<HH" if old else "<ii", head, 18)
        return width, abs(height)  # below 0: the rows stand from top to bottom
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(head)
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return _tiff(head, file)
    if found := _PNM.match(head):
        return int(found[1]), int(found[2])
    return None


def _two(layout: str, head: bytes, at: int) -> Size:
    width, height = struct.unpack_from(layout, head, at)
    return width, height


def _jpeg(file: BinaryIO) -> Size | None:
    file.seek(2)
    for _ in range(MOST_MARKERS):
        byte = file.read(1)
        if byte != b"\xff":
            return None
        while byte == b"\xff":
            byte = file.read(1)
        if not byte:
            return None
        if byte[0] in _ALONE:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if length < 2:
            return None
        if byte[0] in _FRAMES:
            height, width = struct.unpack(">xHH", file.read(5))
            return width, height
        file.seek(length - 2, 1)
    return None


def _webp(head: bytes) -> Size | None:
    kind = head[12:16]
    if kind == b"VP8X":
        sizes = head[24:30]
        return int.from_bytes(sizes[:3], "little") + 1, int.from_bytes(sizes[3:], "little") + 1
    if kind == b"VP8L" and head[20:21] == b"\x2f":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = _two("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff(head: bytes, file: BinaryIO) -> Size | None:
    """The size of the first picture; of tiles that are larger than any picture may be, theirs."""
    order, big = "<" if head.startswith(b"I") else ">", head[2:4] in (b"+\0", b"\0+")
    begin, count, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    file.seek(struct.unpack_from(order + begin, head, 8 if big else 4)[0])
    (entries,) = struct.unpack(order + count, file.read(struct.calcsize(order + count)))
    found = {}
    for _ in range(min(entries, MOST_MARKERS)):
        tag, kind, _, value = struct.unpack(order + entry, file.read(struct.calcsize(order + entry)))
        if kind in (3, 4, 16):
            layout = {3: "H", 4: "I", 16: "Q"}[kind]
            found[tag] = struct.unpack_from(order + layout, value)[0]
    tile = found.get(322, 0), found.get(323, 0)
    return tile if tile[0] * tile[1] > MAX_PIXELS else (found.get(256, 0), found.get(257, 0))
