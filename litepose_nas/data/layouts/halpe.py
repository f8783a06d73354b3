"""Halpe-FullBody: of its 136 joints the first 26, the body; those of the face and of the hands are left out."""

from __future__ import annotations

from litepose_nas.data.annotations import read_document
from litepose_nas.data.dataset import Document
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.layouts.files import LayoutFiles

WHOLE = 136


def read(files: LayoutFiles) -> Document:
    """Keep the joints of the body and name them; the file does not."""
    path = files.annotations
    document = read_document(path)
    names = known_skeleton("halpe26").names
    for category in document["categories"]:
        if isinstance(category, dict) and not category.get("keypoints"):
            category["keypoints"] = list(names)
    for annotation in document["annotations"]:
        keypoints = annotation.get("keypoints") if isinstance(annotation, dict) else None
        if isinstance(keypoints, list) and len(keypoints) == 3 * WHOLE:
            annotation["keypoints"] = keypoints[: 3 * len(names)]
    return document
