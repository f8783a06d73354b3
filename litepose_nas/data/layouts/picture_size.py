"""How large a picture is, from the first bytes of its file: thousands a second where decoding takes minutes."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import BinaryIO

from litepose_nas.data import zipped
from litepose_nas.data.images import read_image
from litepose_nas.errors import UserError

# Markers of JPEG that begin a frame, and so are followed by its size: all of C0 to CF but tables and arithmetic.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers that nothing belongs to


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of the stored pixels; pictures that are neither JPEG nor PNG are decoded."""
    try:
        with io.BytesIO(zipped.read_bytes(path)) if zipped.within(path) else open(path, "rb") as file:
            size = _png(file) or _jpeg(file)
    except OSError as error:
        raise UserError(f"cannot read the picture {path}: {error.strerror or error}; restore the file") from error
    if size is not None:
        return size
    height, width = read_image(path).shape[:2]
    return width, height


def _png(file: BinaryIO) -> tuple[int, int] | None:
    head = file.read(24)
    if len(head) < 24 or not head.startswith(b"\x89PNG") or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return (width, height) if 0 < width < 2**31 and 0 < height < 2**31 else None


def _jpeg(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return None
    while True:
        byte = file.read(1)
        if byte != b"\xff":
            return None  # cut off or damaged: decoding will say how
        while byte == b"\xff":
            byte = file.read(1)
        if not byte:
            return None
        if byte[0] in _ALONE:
            continue
        length = file.read(2)
        if len(length) < 2 or (size := struct.unpack(">H", length)[0]) < 2:
            return None
        if byte[0] in _FRAMES:
            frame = file.read(5)
            if len(frame) < 5:
                return None
            height, width = struct.unpack(">HH", frame[1:])
            return (width, height) if width and height else None
        file.seek(size - 2, 1)
