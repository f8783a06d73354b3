"""Making documents from layouts that leave things to the reader: ids, sizes of pictures, boxes, the category."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data import zipped
from litepose_nas.data.dataset import Document
from litepose_nas.data.fields import path_inside
from litepose_nas.data.layouts.picture_size import picture_size
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.untrusted.display import short

WIDER = 1.3  # PoseTrack's boxes are those around the joints, made wider by this
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class LayoutFiles(NamedTuple):
    """The files of a split as a layout's reader gets them."""

    annotations: Path
    images: Path | None = None  # the folder of the pictures; None: nothing is asked of it, and sizes may be missing
    truth: Path | None = None  # MPII's ground truth in MATLAB's format
    people: bool = True  # False: annotations may be missing
    unlabelled: bool = False  # True: unlabelled video frames get their sizes too


def category_for(skeleton: Skeleton, category_id: int = 1, name: str = "person") -> dict[str, Any]:
    limbs = [[a + 1, b + 1] for a, b in skeleton.limbs]  # COCO counts joints from one here
    return {"id": category_id, "name": name, "keypoints": list(skeleton.names), "skeleton": limbs}


def named_annotations(path: Path, document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the annotations that are objects, each with the words that begin an error about it."""
    for annotation in document["annotations"]:
        if isinstance(annotation, dict):
            yield f"{path}: annotation {short(annotation.get('id'), 40)}", annotation


def ids_of(names: Sequence[str]) -> dict[str, int]:
    """An id for each file name: its number if all names are numbers, else its rank, from 1, among the sorted names."""
    files = sorted(set(names))
    stems = [PurePosixPath(name).stem for name in files]
    if all(stem.isascii() and stem.isdigit() and len(stem) < 19 for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return dict(zip(files, numbers, strict=True))
    return {name: place for place, name in enumerate(files, 1)}


def with_sizes(pictures: list[dict[str, Any]], folder: Path | None, unlabelled: bool = False) -> list[dict[str, Any]]:
    """Fill in widths and heights that entries of pictures lack, read from the files.

    Unlabelled video frames get theirs only with `unlabelled`, and only if their files exist.
    """
    if folder is None:
        return pictures
    for picture in pictures:
        labelled = picture.get("is_labeled", True)
        if ("width" in picture and "height" in picture) or not (labelled or unlabelled):
            continue
        name = str(picture["file_name"])
        path_inside(f"{folder}: image {picture['id']}", name)
        file = folder / name
        if not zipped.is_file(file):
            if not labelled:
                continue
            hint = zipped.elsewhere(file)
            raise UserError(
                f"image {picture['id']} has no file {file}{hint}; check the picture folder, or remove its people"
            )
        picture["width"], picture["height"] = picture_size(file)
    return pictures


def labelled_box(points: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Left, top, width, height of the box around the labelled joints (J, 3), made wider by 0.3."""
    known = points[points[:, 2] > 0, :2]
    if not len(known):
        return 0.0, 0.0, 0.0, 0.0
    low, high = known.min(0), known.max(0)
    size = (high - low) * WIDER
    left, top = (low + high - size) / 2
    return float(left), float(top), float(size[0]), float(size[1])


def pictures_in(folder: Path) -> list[str]:
    """The names of the pictures in a folder and below, sorted, with / between folders."""
    if not zipped.is_folder(folder):
        raise UserError(f"{folder}: no such folder of pictures; check the path")
    return [name for name in zipped.files_below(folder) if PurePosixPath(name).suffix.lower() in SUFFIXES]
