"""COCO keypoints, the layout that all others are read into, and the layouts that differ from it in little."""

from __future__ import annotations

import numpy as np

from litepose_nas.data import zipped
from litepose_nas.data.annotations import check_lists, read_document, read_json
from litepose_nas.data.dataset import Document
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.layouts.building import LayoutFiles, labelled_box, named_annotations
from litepose_nas.data.layouts.mpii import one_less
from litepose_nas.data.person import box_of
from litepose_nas.errors import UserError

HALPE_JOINTS = 136
HUMANART_ARCHIVE = "HumanArt/images/"


def read(files: LayoutFiles) -> Document:
    missing: Document = {} if files.people else {"annotations": [], "categories": []}  # a list of images is enough
    return check_lists(files.annotations, missing | read_json(files.annotations))


def read_halpe(files: LayoutFiles) -> Document:
    """Halpe-FullBody: the first 26 joints, the body; those of the face and of the hands are left out."""
    document = read_document(files.annotations)
    names = known_skeleton("halpe26").names
    for category in document["categories"]:
        if isinstance(category, dict) and not category.get("keypoints"):
            category["keypoints"] = list(names)
    for _, annotation in named_annotations(files.annotations, document):
        keypoints = annotation.get("keypoints")
        if isinstance(keypoints, list) and len(keypoints) == 3 * HALPE_JOINTS:
            annotation["keypoints"] = keypoints[: 3 * len(names)]
    return document


def read_humanart(files: LayoutFiles) -> Document:
    """Human-Art: COCO's 17 joints under a list of 21 names; pictures may lie with or without the archive's folders."""
    document = read_document(files.annotations)
    names = known_skeleton("coco").names
    for category in document["categories"]:
        if isinstance(category, dict) and isinstance(category.get("keypoints"), list):
            category.update(keypoints=category["keypoints"][: len(names)], skeleton=[])
    if files.images is not None and not zipped.is_folder(files.images / HUMANART_ARCHIVE):
        for image in document["images"]:
            if isinstance(image, dict) and isinstance(image.get("file_name"), str):
                image["file_name"] = image["file_name"].removeprefix(HUMANART_ARCHIVE)
    return document


def read_jhmdb(files: LayoutFiles) -> Document:
    """JHMDB, videos of one person with 15 joints: counted from 1, as MATLAB does."""
    document = read_document(files.annotations)
    for where, annotation in named_annotations(files.annotations, document):
        left, top, wide, high = box_of(where, annotation)
        annotation["bbox"] = [left - 1, top - 1, wide, high]
        if "keypoints" in annotation:
            annotation["keypoints"] = one_less(where, annotation["keypoints"])
    return document


def read_mpii_trb(files: LayoutFiles) -> Document:
    """MPII-TRB, 40 joints with the body's contour: counted from 1, no boxes; they get the usual ones around joints."""
    document = read_document(files.annotations)
    for where, annotation in named_annotations(files.annotations, document):
        if "bbox" not in annotation:
            annotation["keypoints"] = one_less(where, annotation.get("keypoints"))
            annotation["bbox"] = list(labelled_box(np.array(annotation["keypoints"]).reshape(-1, 3)))
    return document


def read_ochuman(files: LayoutFiles) -> Document:
    """OCHuman: people without joints stay, so that their regions count neither for nor against a prediction."""
    path = files.annotations
    document = read_json(path)
    pictures = document.get("images")
    if "annotations" not in document and isinstance(pictures, list) and any("annotations" in p for p in pictures):
        raise UserError(
            f"{path} is OCHuman's own layout, with its 19 joints; give the files in COCO's layout that come with it, "
            "ochuman_coco_format_val_range_0.00_1.00.json"
        )
    return check_lists(path, document)
