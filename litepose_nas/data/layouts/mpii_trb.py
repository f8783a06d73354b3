"""MPII-TRB: MPII's people with the contour of the body, 40 joints, counted from 1, no boxes."""

from __future__ import annotations

import numpy as np

from litepose_nas.data.annotations import read_document
from litepose_nas.data.dataset import Document
from litepose_nas.data.layouts.building import labelled_box
from litepose_nas.data.layouts.files import LayoutFiles
from litepose_nas.data.layouts.mpii import one_less


def read(files: LayoutFiles) -> Document:
    """Coordinates become counted from 0; the box is that around the joints, wider by 0.3."""
    path = files.annotations
    document = read_document(path)
    for annotation in document["annotations"]:
        if isinstance(annotation, dict) and "bbox" not in annotation:
            where = f"{path}: annotation {annotation.get('id')!r:.40}"
            annotation["keypoints"] = one_less(where, annotation.get("keypoints"))
            annotation["bbox"] = list(labelled_box(np.array(annotation["keypoints"]).reshape(-1, 3)))
    return document
