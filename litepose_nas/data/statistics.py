"""What a dataset holds, in numbers: pictures, people, joints, boxes, areas."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.dataset import Dataset, Document
from litepose_nas.data.layouts.crowdpose import DIFFICULTIES, SPLIT_RULES, split_of

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# COCO's bounds: people below the first area are small (and not evaluated), from the second on large.
MEDIUM, LARGE = 32**2, 96**2
_GROUPS = ((0, 0), (1, 1), (2, 2), (3, 5), (6, 10), (11, 10**9))


def statistics_of(dataset: Dataset) -> dict[str, Any]:
    records = dataset.records
    joints = np.concatenate([record.joints for record in records])
    boxes = np.concatenate([record.boxes for record in records]).astype(np.float64)
    areas = np.concatenate([record.areas for record in records]).astype(np.float64)
    each = np.array([len(record.joints) for record in records])
    labelled, hidden = joints[..., 2] > 0, joints[..., 2] == 1
    regions = [region for record in records for region in record.ignored]
    found: dict[str, Any] = {
        "pictures": len(records),
        "pictures_without_people": int((each == 0).sum()),
        "people": len(joints),
        "crowds_and_regions": sum(region.crowd for region in regions),
        "people_without_joints": sum(not region.crowd for region in regions),
        "people_per_picture": {_range(low, high): int(((each >= low) & (each <= high)).sum()) for low, high in _GROUPS},
        "most_people": int(each.max(initial=0)),
        "joints_per_person": _quantiles(labelled.sum(1)),
        "joints": {
            name: {
                "labelled": _share(labelled[:, place].sum(), len(joints)),
                "hidden": _share(hidden[:, place].sum(), labelled[:, place].sum()),
            }
            for place, name in enumerate(dataset.skeleton.names)
        },
        "box_widths": _quantiles(boxes[:, 2]),
        "box_heights": _quantiles(boxes[:, 3]),
        "areas": {
            "small": int((areas < MEDIUM).sum()),
            "medium": int(((areas >= MEDIUM) & (areas < LARGE)).sum()),
            "large": int((areas >= LARGE).sum()),
            **_quantiles(areas),
        },
        "picture_sizes": _sizes(dataset),
    }
    videos = {record.video for record in records if record.video}
    if videos:
        tracks = {(r.video, t) for r in records if r.track_ids is not None for t in r.track_ids.tolist() if t >= 0}
        found["videos"], found["tracks"] = len(videos), len(tracks)
    return found


def categories(document: Document) -> dict[str, int]:
    """How many there are of each category, where several were read as one kind."""
    return dict(Counter(one["category"] for one in document["annotations"] if isinstance(one.get("category"), str)))


def crowding(document: Document) -> dict[str, dict[str, int]]:
    """How many pictures are easy, medium and hard under each rule; nothing where pictures have no crowdIndex."""
    indices = [image["crowdIndex"] for image in document["images"] if "crowdIndex" in image]
    if not indices:
        return {}
    counts = {rule: Counter(split_of(index, rule) for index in indices) for rule in SPLIT_RULES}
    return {rule: {name: counts[rule][name] for name in DIFFICULTIES} for rule in SPLIT_RULES}


def _quantiles(values: NDArray[Any]) -> dict[str, float]:
    if not len(values):
        return {}
    found = np.quantile(values, QUANTILES).tolist()
    return {f"{round(100 * q)} %": round(value, 1) for q, value in zip(QUANTILES, found, strict=True)}


def _sizes(dataset: Dataset) -> dict[str, Any]:
    known = [(record.width, record.height) for record in dataset.records if record.width]
    if not known:
        return {}
    ranked = sorted(known, key=lambda size: size[0] * size[1])
    return {"distinct": len(set(known)), "smallest": list(ranked[0]), "largest": list(ranked[-1])}


def _share(part: int, whole: int) -> float:
    return round(float(part) / float(whole), 4) if whole else 0.0


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}" if high < 10**9 else f"{low}+"
