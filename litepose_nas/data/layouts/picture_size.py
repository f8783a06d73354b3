"""How large a picture in a file or a zip is, without decoding it: thousands a second."""

from __future__ import annotations

import io
from pathlib import Path

from litepose_nas.data import zipped
from litepose_nas.data.images import unreadable
from litepose_nas.data.picture_header import stored_size
from litepose_nas.errors import UserError
from litepose_nas.untrusted.opening import open_regular


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of the stored pixels."""
    try:
        with io.BytesIO(zipped.read_bytes(path)) if zipped.within(path) else open_regular(path) as file:
            size = stored_size(file)
    except OSError as error:
        raise UserError(f"cannot read the picture {path}: {error.strerror or error}; restore the file") from error
    if size is None:
        raise unreadable(path)
    return size
