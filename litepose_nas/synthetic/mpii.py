"""Drawn people in MPII's layout: its 16 joints, one record a person, and the .mat file by which PCKh is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas.data.dataset_yaml import known_skeleton, skeleton_tree, write_tree
from litepose_nas.data.layouts.mpii import FIRST_PIXEL, HEIGHT, LOWER, MAT_JOINTS
from litepose_nas.data.layouts.toy import SPLITS
from litepose_nas.synthetic.figure import JOINTS as COCO
from litepose_nas.synthetic.figure import Floats
from litepose_nas.synthetic.scene import DrawnPerson


def mpii_joints(person: DrawnPerson) -> Floats:
    """The joints (16, 3) of a person: x, y, flag; the trunk's ends lie between both hips and both shoulders."""
    joints = dict(zip(COCO, person.joints, strict=True))

    def between(part: str) -> Floats:
        left, right = joints[f"left_{part}"], joints[f"right_{part}"]
        flag = min(left[2], right[2])
        return np.array([*(left[:2] + right[:2]) / 2, flag]) if flag else np.zeros(3)

    joints |= {"pelvis": between("hip"), "thorax": between("shoulder")}
    joints |= {"upper_neck": np.array(person.neck), "head_top": np.array(person.crown)}
    return np.array([joints[name] for name in known_skeleton("mpii").names])


def record(person: DrawnPerson, image: str) -> dict[str, Any]:
    """A person as MPII's JSON has one; what a thing hides is labelled there like the rest."""
    joints = mpii_joints(person)
    labelled = joints[:, 2:] > 0
    left, top, wide, high = person.box
    scale = max(wide, high, 1.0) / HEIGHT
    # Readers move the middle down by a part of the height, so that no foot is cut off; here it stands right already.
    centre = left + wide / 2, top + high / 2 - LOWER * scale
    return {
        "image": image,
        "center": [round(side + FIRST_PIXEL, 2) for side in centre],
        "scale": round(scale, 4),
        "joints": np.where(labelled, np.round(joints[:, :2] + FIRST_PIXEL, 2), -1).tolist(),
        "joints_vis": labelled[:, 0].astype(int).tolist(),
    }


def truth(people: list[DrawnPerson]) -> dict[str, Any]:
    """The arrays by which PCKh is judged, as MPII's .mat file has them."""
    joints = np.array([mpii_joints(person) for person in people])
    heads = np.array([person.head for person in people])
    corners = np.stack([heads[:, :2], heads[:, :2] + heads[:, 2:]], axis=1) + FIRST_PIXEL
    return {
        "dataset_joints": np.array([[name] for name in MAT_JOINTS], dtype=object).reshape(1, -1),
        "jnt_missing": (joints[..., 2].T == 0).astype(float),
        "pos_gt_src": (joints[..., :2] + FIRST_PIXEL).transpose(1, 2, 0),
        "headboxes_src": corners.transpose(1, 2, 0),
    }


def write_people(folder: Path, split: str, people: list[tuple[str, DrawnPerson]]) -> None:
    """Write the people of a split, with the names of their pictures; for val also what they are judged by."""
    from scipy.io import savemat

    records = [record(person, image) for image, person in people]
    (folder / "annotations" / f"mpii_{split}.json").write_text(json.dumps(records), encoding="utf-8")
    if split == "val":
        savemat(folder / "annotations" / "mpii_gt_val.mat", truth([person for _, person in people]))


def write_places(path: Path) -> None:
    places: dict[str, dict[str, str]] = {
        split: {"images": split, "annotations": f"annotations/mpii_{split}.json"} for split in SPLITS
    }
    places["val"]["truth"] = "annotations/mpii_gt_val.mat"
    write_tree(path, {"format": "mpii", **places, **skeleton_tree(known_skeleton("mpii"))})
