"""OCHuman in COCO's layout: 17 joints, masks, and people who have only a box."""

from __future__ import annotations

from litepose_nas.data.annotations import check_lists, read_json
from litepose_nas.data.dataset import Document
from litepose_nas.data.layouts.files import LayoutFiles
from litepose_nas.errors import UserError


def read(files: LayoutFiles) -> Document:
    """People without joints stay: their regions count neither for nor against a prediction."""
    path = files.annotations
    document = read_json(path)
    pictures = document.get("images")
    if "annotations" not in document and isinstance(pictures, list) and any("annotations" in p for p in pictures):
        raise UserError(
            f"{path} is OCHuman's own layout, with its 19 joints; give the files in COCO's layout that come with it, "
            "ochuman_coco_format_val_range_0.00_1.00.json"
        )
    return check_lists(path, document)
