"""The files of one split of a dataset, and reading them into a COCO-keypoints document whatever their layout."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from litepose_nas.data.annotations import check_joints, keypoint_category, one_kind
from litepose_nas.data.dataset import Document
from litepose_nas.data.layouts import yolo_pose
from litepose_nas.data.layouts.building import LayoutFiles, category_for, ids_of, pictures_in, with_sizes
from litepose_nas.data.layouts.table import LAYOUTS
from litepose_nas.data.layouts.yolo_pose import YoloFormat
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError


class SplitFiles(NamedTuple):
    """Where the pictures and annotations of a split lie, and how they are written."""

    layout: str  # a name of the table of layouts, or yolo
    images: Path  # the folder that file names start from
    annotations: Path | None  # None if there are only pictures
    truth: Path | None = None  # MPII's ground truth in MATLAB's format
    folders: tuple[str, ...] = ()  # of YOLO-pose: folders or lists of pictures, below `images`
    form: YoloFormat = YoloFormat()  # of YOLO-pose


def document_of_split(
    split: SplitFiles, skeleton: Skeleton | None, people: bool, pictures: bool = True, unlabelled: bool = False
) -> Document:
    """A split as a COCO-keypoints document, with the joints of the skeleton if one is given."""
    if split.layout == "yolo":
        if skeleton is None:
            raise UserError(f"{split.images}: YOLO-pose labels do not name their joints; add `keypoints` to the YAML")
        return one_kind(yolo_pose.read(split.images, split.folders, skeleton, split.form))
    if split.annotations is None:
        return _pictures_alone(split.images, skeleton)
    files = LayoutFiles(split.annotations, split.images if pictures else None, split.truth, people, unlabelled)
    document = one_kind(LAYOUTS[split.layout].read(files))
    if skeleton is not None:
        name_joints(split.annotations, document, skeleton)
    return document


def _pictures_alone(folder: Path, skeleton: Skeleton | None) -> Document:
    if skeleton is None:
        raise UserError(f"{folder}: pictures without annotations say nothing of joints; add `keypoints` to the YAML")
    pictures = [{"id": number, "file_name": name} for name, number in ids_of(pictures_in(folder)).items()]
    return {"images": with_sizes(pictures, folder), "annotations": [], "categories": [category_for(skeleton)]}


def name_joints(path: Path, document: Document, skeleton: Skeleton) -> None:
    """Let the category of a document have the joints of a skeleton, which must be as many as it says itself."""
    categories = [category for category in document["categories"] if isinstance(category, dict)]
    if any(category.get("keypoints") for category in categories):
        category = keypoint_category(path, categories)
        check_joints(path, category, skeleton)
    else:
        people = [category for category in categories if category.get("name") == "person"] or categories
        category = people[0] if people else {"id": 1, "name": "person"}
    named = {**category, **category_for(skeleton, category.get("id", 1), category.get("name", "person"))}
    document["categories"] = [named, *(other for other in document["categories"] if other is not category)]
