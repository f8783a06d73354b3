"""COCO files without a source around them: as a dataset, and as the truth of a metric."""

from __future__ import annotations

from pathlib import Path

from litepose_nas.data.annotations import dataset_of, keypoint_category, read_document, skeleton_of
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.metrics.coco import Truth, truth_of


def read_coco(annotations: Path, images: Path, skeleton: Skeleton | None = None) -> Dataset:
    return dataset_of(read_document(annotations), annotations, images, skeleton)


def truth_at(path: Path) -> Truth:
    document = read_document(path)
    return truth_of(document, path, skeleton_of(path, keypoint_category(path, document["categories"])).sigmas)
