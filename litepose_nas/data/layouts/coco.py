"""COCO keypoints: the layout that all others are read into."""

from __future__ import annotations

from litepose_nas.data.annotations import check_lists, read_json
from litepose_nas.data.dataset import Document
from litepose_nas.data.layouts.files import LayoutFiles


def read(files: LayoutFiles) -> Document:
    missing: Document = {} if files.people else {"annotations": [], "categories": []}  # a list of images is enough
    return check_lists(files.annotations, missing | read_json(files.annotations))
