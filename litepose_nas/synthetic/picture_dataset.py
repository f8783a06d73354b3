"""Drawn pictures as files: people or robot arms in COCO's layout, people also in MPII's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas.data.dataset_yaml import known_skeleton, skeleton_tree, write_tree
from litepose_nas.data.layouts.building import category_for
from litepose_nas.data.layouts.toy import ANNOTATIONS, SPLITS, YAML, toy_split
from litepose_nas.synthetic import mpii, robot_arm
from litepose_nas.synthetic.figure import JOINTS
from litepose_nas.synthetic.files import DrawnCounts, write_jpeg, write_json
from litepose_nas.synthetic.scene import SETTINGS, DrawnCrowd, DrawnPerson, DrawnPicture, draw_picture

MAX_PICTURES = 1_000_000  # a split: the ids of val begin above those of train
_BOXES = "annotations/boxes_{}.json"

Progress = Callable[[int, int], None]


def picture_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The generator that draws one picture: no picture depends on how many are drawn beside it."""
    return np.random.default_rng([seed, SPLITS.index(split), index])


def write_pictures(
    folder: Path,
    pictures: tuple[int, int],
    size: int,
    seed: int,
    setting: str,
    subject: str,
    skeleton: str,
    progress: Progress | None,
) -> list[DrawnCounts]:
    done, total, arms = 0, sum(pictures), subject == "arm"
    counts = []
    (folder / "annotations").mkdir()
    for split, count in zip(SPLITS, pictures, strict=True):
        (folder / split).mkdir()
        images, annotations, people = [], [], []
        for index in range(count):
            rng = picture_rng(seed, split, index)
            picture = robot_arm.draw_picture(rng, size) if arms else draw_picture(rng, size, SETTINGS[setting])
            image_id = 1 + index + SPLITS.index(split) * MAX_PICTURES
            name = f"{image_id:012d}.jpg"
            write_jpeg(folder / split / name, picture.image)
            height, width = picture.image.shape[:2]
            images.append({"id": image_id, "file_name": name, "width": width, "height": height})
            annotations += _annotations(picture, image_id)
            people += [(name, person) for person in picture.people]
            done += 1
            if progress is not None:
                progress(done, total)
        if skeleton == "mpii":
            mpii.write_people(folder, split, people)
            counts.append(_counted(0, [mpii.mpii_joints(person)[:, 2] for _, person in people]))
            continue
        description = f"{'Arms' if arms else 'People'} drawn by litepose-nas: {split}, seed {seed}, {setting}"
        document = {
            "info": {"description": description, "version": "1"},
            "licenses": [],
            "images": images,
            "annotations": annotations,
            "categories": [category_for(robot_arm.SKELETON, name="robot arm") if arms else _category()],
        }
        write_json(toy_split(folder, split)[0], document)
        flags = [np.array(a["keypoints"][2::3]) for a in annotations if not a["iscrowd"]]
        counts.append(_counted(len(annotations) - len(flags), flags))
        if arms:  # as a detector would give them that is always right
            boxes = [{key: a[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0} for a in annotations]
            (folder / _BOXES.format(split)).write_text(json.dumps(boxes), encoding="utf-8")
    if arms:
        files = {"annotations": ANNOTATIONS, "detections": _BOXES}
        places = {s: {"images": s, **{key: name.format(s) for key, name in files.items()}} for s in SPLITS}
        write_tree(folder / YAML, {**places, **skeleton_tree(robot_arm.SKELETON)})
    if skeleton == "mpii":
        mpii.write_places(folder / YAML)
    return counts


def _counted(crowds: int, people: list[np.ndarray]) -> DrawnCounts:
    flags = np.concatenate(people) if people else np.zeros(0)
    return DrawnCounts(len(people), crowds, int((flags > 0).sum()), int((flags == 1).sum()))


def _category() -> dict[str, Any]:
    return {"id": 1, "name": "person", "supercategory": "person", **category_for(known_skeleton("coco"))}


def _annotations(picture: DrawnPicture, image_id: int) -> list[dict[str, Any]]:
    found = [_person(person) for person in picture.people]
    if picture.crowd is not None:
        found.append(_crowd(picture.crowd))
    return [{"id": image_id * 100 + k, "image_id": image_id, "category_id": 1, **a} for k, a in enumerate(found)]


def _person(person: DrawnPerson) -> dict[str, Any]:
    keypoints: list[float] = []
    for x, y, flag in person.joints.tolist():
        keypoints += [round(x, 2), round(y, 2), int(flag)]
    left, top, wide, high = person.box
    corners = [left, top, left + wide, top, left + wide, top + high, left, top + high]
    return {
        "iscrowd": 0,
        "num_keypoints": int((person.joints[:, 2] > 0).sum()),
        "keypoints": keypoints,
        "bbox": list(person.box),
        "area": person.area,
        "segmentation": person.polygons or [corners],
    }


def _crowd(crowd: DrawnCrowd) -> dict[str, Any]:
    flat = crowd.mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    first = [0, 0] if flat[0] else [0]  # run lengths begin with what is outside
    counts = np.diff(np.concatenate((first, ends, [flat.size]))).tolist()
    return {
        "iscrowd": 1,
        "num_keypoints": 0,
        "keypoints": [0] * (3 * len(JOINTS)),
        "bbox": list(crowd.box),
        "area": crowd.area,
        "segmentation": {"counts": counts, "size": list(crowd.mask.shape)},
    }
