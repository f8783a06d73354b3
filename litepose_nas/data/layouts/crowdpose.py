"""CrowdPose: 14 joints, how crowded each picture is, and no areas."""

from __future__ import annotations

from litepose_nas.data.annotations import read_document
from litepose_nas.data.dataset import Document
from litepose_nas.data.fields import number
from litepose_nas.data.layouts.building import LayoutFiles, named_annotations
from litepose_nas.data.person import AREA_OF_BOX, box_of
from litepose_nas.errors import UserError, nearest
from litepose_nas.untrusted.display import short

# Below the first number of crowdIndex a picture is easy, from the second on it is hard. The article says 0.1 and 0.8;
# the released evaluators, whose figures are the ones published, say 0.2 and 0.8.
SPLIT_RULES = {"released": (0.2, 0.8), "paper": (0.1, 0.8)}
DIFFICULTIES = ("easy", "medium", "hard")


def read(files: LayoutFiles) -> Document:
    """Missing areas become 0.53 of the box."""
    path = files.annotations
    document = read_document(path)
    for where, annotation in named_annotations(path, document):
        if "area" not in annotation:
            box = box_of(where, annotation)
            annotation["area"] = box[2] * box[3] * AREA_OF_BOX
    for image in document["images"]:
        if isinstance(image, dict) and "crowdIndex" in image:
            number(f"{path}: image {short(image.get('id'), 40)}", "crowdIndex", image["crowdIndex"])
    return document


def split_of(crowd_index: float, rule: str = "released") -> str:
    """easy, medium or hard for a picture's crowdIndex, by the released evaluators or by the paper."""
    if rule not in SPLIT_RULES:
        raise UserError(f"no rule for CrowdPose's splits is called {rule!r}: {nearest(rule, SPLIT_RULES)}")
    easy_below, hard_from = SPLIT_RULES[rule]
    if crowd_index < easy_below:
        return "easy"
    return "medium" if crowd_index < hard_from else "hard"
