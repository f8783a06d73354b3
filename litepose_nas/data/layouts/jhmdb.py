"""JHMDB in COCO's layout, but counted from 1, as MATLAB does: videos of one person with 15 joints."""

from __future__ import annotations

from litepose_nas.data.annotations import read_document
from litepose_nas.data.dataset import Document
from litepose_nas.data.layouts.files import LayoutFiles
from litepose_nas.data.layouts.mpii import one_less
from litepose_nas.data.person import box_of


def read(files: LayoutFiles) -> Document:
    """Joints and boxes become counted from 0."""
    path = files.annotations
    document = read_document(path)
    for annotation in document["annotations"]:
        if not isinstance(annotation, dict):
            continue
        where = f"{path}: annotation {annotation.get('id')!r:.40}"
        left, top, wide, high = box_of(where, annotation)
        annotation["bbox"] = [left - 1, top - 1, wide, high]
        if "keypoints" in annotation:
            annotation["keypoints"] = one_less(where, annotation["keypoints"])
    return document
