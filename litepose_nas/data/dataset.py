"""A dataset in memory: the pictures of one split with their labelled people as arrays."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.regions import IgnoredRegion
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError

Document = dict[str, Any]  # what a COCO-keypoints file holds: images, annotations, categories


class Record(NamedTuple):
    """One picture and its labelled people; P may be 0."""

    image_id: int
    path: Path
    width: int
    height: int
    joints: NDArray[np.float32]  # (P, J, 3): x, y, flag: 0 not labelled, 1 hidden, 2 seen
    boxes: NDArray[np.float32]  # (P, 4): left, top, width, height
    areas: NDArray[np.float32]  # (P,)
    annotation_ids: NDArray[np.int64]  # (P,)
    ignored: tuple[IgnoredRegion, ...]
    head_sizes: NDArray[np.float32] | None = None  # (P,): 0 where unknown; None where the file knows none
    track_ids: NDArray[np.int64] | None = None  # (P,): -1 where unknown; None where the file knows none
    video: str = ""  # the video it is a picture of
    frame: int = -1  # the number of the picture in it
    labelled: bool = True  # False: a video frame without annotations


class Dataset(NamedTuple):
    """The pictures of one annotation file, in the order of their ids."""

    annotations: Path
    images: Path
    skeleton: Skeleton
    records: tuple[Record, ...]
    reread: Callable[[], Document] | None = None  # gives the document anew where `annotations` is no COCO file
    category: str = "person"


def subjects(category: str) -> str:
    """What those of a category are called in what is printed."""
    return "people" if category.lower() == "person" else "subjects"


def split(dataset: Dataset, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return (the rest, a slice of that fraction); which pictures go where depends only on their ids and the seed.

    The pictures of a video go together where there are two videos or more.
    """
    count = len(dataset.records)
    if not 0 < fraction < 1:
        raise UserError(f"cannot split off a fraction of {fraction}: choose one between 0 and 1")
    if count < 2:
        raise UserError(f"cannot split {dataset.annotations}: it has {count} picture; two are needed")
    videos = {record.video for record in dataset.records}
    together = len(videos) > 1 and "" not in videos
    groups: dict[str | int, list[int]] = defaultdict(list)
    for record in dataset.records:
        groups[record.video if together else record.image_id].append(record.image_id)
    # Ranks of hashes: a picture more or less moves few others from one side to the other.
    ranked = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    size = min(max(round(fraction * count), 1), count - 1)
    chosen: set[int] = set()
    for name in ranked[:-1]:  # one group at least stays
        if len(chosen) >= size:
            break
        chosen.update(groups[name])
    rest = tuple(record for record in dataset.records if record.image_id not in chosen)
    part = tuple(record for record in dataset.records if record.image_id in chosen)
    return dataset._replace(records=rest), dataset._replace(records=part)
