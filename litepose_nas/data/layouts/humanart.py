"""Human-Art: COCO's 17 joints under a list of 21 names, and file names that begin with the folders of its archive."""

from __future__ import annotations

from litepose_nas.data import zipped
from litepose_nas.data.annotations import read_document
from litepose_nas.data.dataset import Document
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.layouts.files import LayoutFiles

ARCHIVE = "HumanArt/images/"


def read(files: LayoutFiles) -> Document:
    """The category gets 17 names; pictures may lie with or without the archive's folders."""
    path = files.annotations
    document = read_document(path)
    names = known_skeleton("coco").names
    for category in document["categories"]:
        if isinstance(category, dict) and isinstance(category.get("keypoints"), list):
            category.update(keypoints=category["keypoints"][: len(names)], skeleton=[])
    if files.images is not None and not zipped.is_folder(files.images / ARCHIVE):
        for image in document["images"]:
            if isinstance(image, dict) and isinstance(image.get("file_name"), str):
                image["file_name"] = image["file_name"].removeprefix(ARCHIVE)
    return document
