"""Pictures as arrays: decoded whole or refused with the cause, and where in them the loss is ignored."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas import files
from litepose_nas.data import zipped
from litepose_nas.data.dataset import Record
from litepose_nas.data.regions import region_fault, region_mask
from litepose_nas.errors import UserError


def read_image(path: str | os.PathLike[str], upright: bool = False) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) red, green, blue.

    Pixels stay where annotations expect them; upright, they are turned as the camera's note in the file says.
    """
    file = Path(path)
    try:
        data = zipped.read_bytes(file)  # OpenCV's own reader cannot open every file name
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else None
        raise UserError(f"cannot read the picture {file}: {cause or error}; restore the file") from error
    return decode_image(file, data, upright)


def decode_image(file: Path, data: bytes, upright: bool = False) -> NDArray[np.uint8]:
    cause = _damage(data)
    image = None
    if cause is None:
        cause = "it is damaged or no picture"
        try:
            flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            image = None
    if image is None:
        raise UserError(f"cannot read the picture {file}: {cause}; fetch it again, or remove it from the annotations")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def write_image(path: Path, image: NDArray[np.uint8], quality: int = 95) -> None:
    """Write (H, W, 3) red, green, blue whole or not at all; `quality` is that of a JPEG."""
    # OpenCV's own writer would not say that the disk is full.
    ok, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise UserError(f"{path}: this build of OpenCV cannot write {path.suffix} files")
    files.write(path, data.tobytes())


def load_picture(record: Record) -> NDArray[np.uint8]:
    """Read the picture of a record; it must have the annotated size."""
    image = read_image(record.path)
    height, width = image.shape[:2]
    if (width, height) != (record.width, record.height):
        raise UserError(
            f"{record.path} is {width}x{height} pixels, but its annotations are for {record.width}x{record.height}; "
            "use the picture that was annotated"
        )
    return image


def ignored_mask(record: Record) -> NDArray[np.bool_]:
    """(H, W) mask of crowds and unlabelled people; the loss ignores them."""
    mask = np.zeros((record.height, record.width), bool)
    for region in record.ignored:
        fault = region_fault(region, record.height, record.width)
        try:
            if fault is None:
                mask |= region_mask(region, record.height, record.width)
        except Exception as error:  # pycocotools raises bare exceptions of many kinds
            fault = f"{error!s:.80}"
        if fault is not None:
            raise UserError(
                f"{record.path.name} (image {record.image_id}): the segmentation of a crowd or an unlabelled person "
                f"does not fit the picture: {fault}; mend its run lengths or polygons"
            )
    return mask


def _damage(data: bytes) -> str | None:
    """Say what is plainly wrong with a file; OpenCV decodes a picture that was cut off and fills it with grey."""
    if not data:
        return "it is empty"
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9", _scan(data)) < 0:
        return "it is a JPEG that was cut off"
    if data.startswith(b"\x89PNG") and data.rfind(b"IEND", len(data) // 2) < 0:
        return "it is a PNG that was cut off"
    return None


def _scan(data: bytes) -> int:
    """Where the pixels of a JPEG begin: a thumbnail before them has an end marker of its own."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xDA:
            return at
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return min(at, len(data))
