"""Pictures as arrays: decoded whole or refused with the cause, and where in them the loss is ignored."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas import files
from litepose_nas.data import zipped
from litepose_nas.data.dataset import Record
from litepose_nas.data.picture_header import KINDS, MAX_PIXELS, MOST_MARKERS, stored_size
from litepose_nas.data.regions import region_fault, region_mask
from litepose_nas.errors import UserError


def read_image(
    path: str | os.PathLike[str], upright: bool = False, annotated: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) red, green, blue; with `annotated`, of that width and height or refused.

    Pixels stay where annotations expect them; upright, they are turned as the camera's note in the file says.
    """
    file = Path(path)
    try:
        data = zipped.read_bytes(file)  # OpenCV's own reader cannot open every file name
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else None
        raise UserError(f"cannot read the picture {file}: {cause or error}; restore the file") from error
    return decode_image(file, data, upright, annotated)


def decode_image(
    file: Path, data: bytes, upright: bool = False, annotated: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    if cause := _damage(data):
        raise unreadable(file, cause)
    size = stored_size(io.BytesIO(data))
    if size is None:
        raise unreadable(file)
    if size[0] * size[1] > MAX_PIXELS:
        raise UserError(
            f"cannot read the picture {file}: {size[0]}x{size[1]} pixels, and more than {MAX_PIXELS // 10**6} million "
            "are not decoded; make it smaller, or remove it from the annotations"
        )
    _check_size(file, size, annotated)
    image = None
    flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    with contextlib.suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise unreadable(file)
    _check_size(file, (image.shape[1], image.shape[0]), annotated)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def unreadable(file: Path, cause: str = f"it is damaged or no picture that is {KINDS}") -> UserError:
    return UserError(f"cannot read the picture {file}: {cause}; fetch it again, or remove it from the annotations")


def _check_size(file: Path, size: tuple[int, int], annotated: tuple[int, int] | None) -> None:
    if annotated is not None and size != annotated:
        raise UserError(
            f"{file} is {size[0]}x{size[1]} pixels, but its annotations are for {annotated[0]}x{annotated[1]}; "
            "use the picture that was annotated"
        )


def write_image(path: Path, image: NDArray[np.uint8], quality: int = 95) -> None:
    """Write (H, W, 3) red, green, blue whole or not at all; `quality` is that of a JPEG."""
    # OpenCV's own writer would not say that the disk is full.
    ok, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise UserError(f"{path}: this build of OpenCV cannot write {path.suffix} files")
    files.write(path, data.tobytes())


def load_picture(record: Record) -> NDArray[np.uint8]:
    """Read the picture of a record; it must have the annotated size."""
    return read_image(record.path, annotated=(record.width, record.height))


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
    for _ in range(MOST_MARKERS):
        if at + 4 > len(data) or data[at] != 0xFF:
            break
        if data[at + 1] == 0xDA:
            return at
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return min(at, len(data))
