"""PoseTrack18: one JSON a video, tracks, heads, regions to ignore, and unlabelled frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas.data.annotations import check_lists, read_json
from litepose_nas.data.dataset import Document
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.fields import numbers
from litepose_nas.data.layouts.building import LayoutFiles, category_for, labelled_box, with_sizes
from litepose_nas.data.person import AREA_OF_BOX, box_of
from litepose_nas.errors import UserError
from litepose_nas.untrusted.display import short


def read(files: LayoutFiles) -> Document:
    """The videos of a folder, or of one file, as one document.

    Labelled joints get flag 2, regions to ignore become polygons in `ignore_regions`, `bbox_head` becomes `head_box`;
    unlabelled frames stay, with `is_labeled` false, and people without a box get one. Sizes that a file
    lacks come from the pictures, for unlabelled frames only with `unlabelled`.
    """
    path = files.annotations
    videos = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not videos:
        raise UserError(f"{path} holds no JSON files of videos; give the folder annotations/val of PoseTrack18")
    pictures: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for file in videos:
        document = check_lists(file, read_json(file))
        pictures += [_picture(file, entry) for entry in document["images"]]
        people += [_person(file, entry) for entry in document["annotations"]]
    category = category_for(known_skeleton("posetrack18"))
    pictures = with_sizes(pictures, files.images, files.unlabelled)
    return {"images": pictures, "annotations": people, "categories": [category]}


def _picture(file: Path, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
        raise UserError(f"{file}: image {short(entry)} has no 'file_name'; write it into the file")
    number = entry.get("id", entry.get("frame_id"))
    where = f"{file}: image {short(number, 40)}"
    across, down = entry.get("ignore_regions_x") or [], entry.get("ignore_regions_y") or []
    if not isinstance(across, list) or not isinstance(down, list):
        raise UserError(f"{where}: 'ignore_regions_x' and 'ignore_regions_y' must be lists of polygons; mend them")
    if across and not isinstance(across[0], list):  # a single region is written without its list
        across, down = [across], [down]
    regions = []
    for xs, ys in zip(across, down, strict=False):
        x = numbers(where, "ignore_regions_x", xs).ravel()
        y = numbers(where, "ignore_regions_y", ys).ravel()
        if len(x) != len(y):
            raise UserError(f"{where}: a region to ignore has {len(x)} x and {len(y)} y; mend it")
        if len(x) >= 3:  # fewer corners enclose nothing
            regions.append(np.stack([x, y], 1).ravel().tolist())
    if len(across) != len(down):
        raise UserError(f"{where}: {len(across)} regions to ignore have x and {len(down)} have y; mend them")
    kept = {key: value for key, value in entry.items() if not key.startswith("ignore_regions")}
    return {"is_labeled": True, **kept, "id": number, "ignore_regions": regions}


def _person(file: Path, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise UserError(f"{file}: an annotation is {short(entry, 40)}, not an object; mend or remove it")
    where = f"{file}: annotation {short(entry.get('id'), 40)}"
    person = {key: value for key, value in entry.items() if key != "bbox_head"}
    count = len(known_skeleton("posetrack18").names)
    points = numbers(where, "keypoints", entry.get("keypoints", [0] * (3 * count)), 3 * count).reshape(count, 3)
    labelled = points[:, 2] > 0
    points = np.column_stack([points[:, :2] * labelled[:, None], 2 * labelled])
    person["keypoints"] = [int(n) if n.is_integer() else float(n) for n in points.ravel().tolist()]
    person["num_keypoints"] = int(labelled.sum())
    if "bbox" not in entry:
        person["bbox"] = list(labelled_box(points))
    box = box_of(where, person)
    person.setdefault("area", box[2] * box[3] * AREA_OF_BOX)
    person["iscrowd"] = int(bool(entry.get("iscrowd", 0)))
    if entry.get("bbox_head") is not None:
        person["head_box"] = numbers(where, "bbox_head", entry["bbox_head"], 4).ravel().tolist()
    return person
