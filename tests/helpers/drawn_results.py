"""Random annotation files and predictions with what a judge must mind: crowds, ties, empty pictures, many results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.metrics import mpii
from litepose_nas.metrics.mpii import HeadTruth

JOINTS = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"]
JOINTS += ["right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee"]
JOINTS += ["left_ankle", "right_ankle"]
SIDES = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
CROWDPOSE_NAMES = [f"{side}_{joint}" for joint in SIDES for side in ("left", "right")] + ["head", "neck"]
POSETRACK_NAMES = list(known_skeleton("posetrack18").names)
# Shuffled: the file says which joint is which.
MAT_ORDER = ["head", "lwri", *(name for name in mpii.JOINTS if name not in ("head", "lwri"))]


def drawn_pair(
    seed: int, images: int = 4, joints: int = 17, most: int = 4, names: list[str] | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an annotation document and predictions near its people, some of them far."""
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    ids = (10 * rng.permutation(images) + 7).tolist()
    for image_id in ids:
        for _ in range(rng.integers(0, most + 1)):
            annotations.append(_person(rng, image_id, len(annotations) + 1, joints))
        mine = [a for a in annotations if a["image_id"] == image_id]
        many = rng.random() < 0.2
        for _ in range(rng.integers(21, 27) if many else rng.integers(0, 2 * most)):
            results.append(_result(rng, image_id, mine, joints))
    results = [results[place] for place in rng.permutation(len(results))]
    category = {"id": 1, "name": "person", "keypoints": names or JOINTS[:joints], "skeleton": []}
    listed = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in ids]
    return {"images": listed, "annotations": annotations, "categories": [category]}, results


def _person(rng: np.random.Generator, image_id: int, number: int, joints: int) -> dict[str, Any]:
    size = rng.choice([25.0, 70.0, 200.0]) * rng.uniform(0.8, 1.2)
    corner = rng.uniform(0, 300, 2)
    points = np.zeros((joints, 3))
    points[:, :2] = corner + rng.uniform(0, size, (joints, 2))
    points[:, 2] = rng.choice([0, 1, 2], joints, p=[0.3, 0.2, 0.5])
    kind = rng.random()
    crowd = kind < 0.1
    if kind < 0.2:
        points[:, 2] = 0  # a person without joints, or a crowd
    points[points[:, 2] == 0] = 0
    if rng.random() < 0.3:
        points = points.round()
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": points.ravel().tolist(),
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "bbox": [*corner.tolist(), size, size * rng.uniform(0.5, 1)],
        "area": float(size * size * rng.uniform(0.3, 0.7)),
        "iscrowd": int(crowd),
    }


def _result(rng: np.random.Generator, image_id: int, people: list[dict[str, Any]], joints: int) -> dict[str, Any]:
    if people and rng.random() < 0.8:
        person = people[rng.integers(len(people))]
        points = np.array(person["keypoints"]).reshape(joints, 3)
        lost = points[:, 2] == 0
        points[lost, :2] = np.array(person["bbox"])[:2] + rng.uniform(0, 100, (lost.sum(), 2))
        points[:, :2] += rng.normal(0, 1, (joints, 2)) * rng.choice([0, 0.03, 0.1, 0.2]) * person["bbox"][2]
    else:
        points = np.zeros((joints, 3))
        points[:, :2] = rng.uniform(0, 300, 2) + rng.uniform(0, rng.choice([20, 60, 200]), (joints, 2))
    points[:, 2] = rng.random(joints).round(3)
    # One decimal alone, so that many scores are equal.
    score = float(rng.random().__round__(1))
    return {"image_id": image_id, "category_id": 1, "keypoints": points.ravel().tolist(), "score": score}


def drawn_crowd(seed: int) -> tuple[dict, list[dict]]:
    document, results = drawn_pair(seed, images=3 + seed % 5, joints=14, names=CROWDPOSE_NAMES)
    rng = np.random.default_rng(seed)
    for image in document["images"]:
        # Values at the limits themselves are frequent in the real file.
        image["crowdIndex"] = float(rng.choice([0.0, 0.1, 0.15, 0.2, 0.5, 0.8, 1.3]))
    for annotation in document["annotations"]:
        del annotation["area"]
    return document, results


def drawn_truth(seed: int, people: int = 30) -> tuple[HeadTruth, np.ndarray, np.ndarray]:
    """People, the corners of their head boxes, and predictions around all the radii that matter."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform(50, 500, (people, 16, 2))
    present = rng.random((people, 16)) < 0.8
    present[:, rng.integers(16)] = False  # a joint that nobody has
    corners = np.zeros((people, 2, 2))
    corners[:, 0] = rng.uniform(0, 100, (people, 2))
    corners[:, 1] = corners[:, 0] + rng.uniform(10, 60, (people, 2))
    heads = 0.6 * np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    angle = rng.uniform(0, 2 * np.pi, (people, 16))
    reach = rng.choice([0.02, 0.09, 0.105, 0.11, 0.3, 0.49, 0.51, 2], (people, 16)) * heads[:, None]
    found = joints + reach[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    return HeadTruth(joints, present, heads), corners, found


def write_truth(path: Path, truth: HeadTruth, corners: np.ndarray) -> None:
    """Write MPII's .mat file of people: from 1 on, its arrays with people last."""
    order = [mpii.JOINTS.index(name) for name in MAT_ORDER]
    names = np.empty((1, 16), object)
    names[0] = MAT_ORDER
    arrays = {
        "dataset_joints": names,
        "jnt_missing": (~truth.present[:, order]).T.astype(np.uint8),
        "pos_gt_src": truth.joints[:, order].transpose(1, 2, 0) + 1,
        "headboxes_src": corners.transpose(1, 2, 0) + 1,
    }
    savemat(path, arrays)


def drawn_video(seed: int) -> tuple[dict, list[dict]]:
    rng = np.random.default_rng(seed)
    images, annotations, results = [], [], []
    for frame in range(8):
        regions = []
        for _ in range(rng.integers(0, 3)):
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
            radius = rng.uniform(20, 120, len(angles))  # a star, seldom convex
            star = np.column_stack([np.cos(angles), np.sin(angles)]) * radius[:, None] + rng.uniform(0, 400, 2)
            regions.append(star.round().ravel().tolist())
        images.append({"id": 100 + frame, "file_name": f"v/{frame}.jpg", "ignore_regions": regions})
        people = []
        for _ in range(rng.integers(0, 4)):
            points = np.zeros((17, 3))
            points[:, :2] = rng.uniform(0, 300, 2) + rng.uniform(0, 120, (17, 2))
            points[:, 2] = rng.random(17) < 0.75
            points[3:5, 2] = 0  # the ears are never labelled
            points[points[:, 2] == 0] = 0
            person = {
                "id": len(annotations) + len(people) + 1,
                "image_id": 100 + frame,
                "category_id": 1,
                "track_id": 0,
            }
            person |= {
                "keypoints": points.ravel().tolist(),
                "head_box": [*rng.uniform(0, 200, 2), *rng.uniform(15, 50, 2)],
            }
            people.append(person)
        annotations += people
        for _ in range(rng.integers(0, 6)):
            points = np.zeros((17, 3))
            if people and rng.random() < 0.8:
                person = people[rng.integers(len(people))]
                true = np.array(person["keypoints"]).reshape(17, 3)
                points[:, :2] = true[:, :2] + rng.normal(0, 1, (17, 2)) * rng.choice([2, 8, 20])
            else:
                points[:, :2] = rng.uniform(0, 400, (17, 2))
            points[:, 2] = rng.random(17).round(2)
            points[rng.random(17) < 0.2] = 0
            result = {"image_id": 100 + frame, "keypoints": points.ravel().tolist()}
            if rng.random() < 0.7:
                result["scores"] = rng.random(17).round(1).tolist()
            results.append(result)
    category = {"id": 1, "name": "person", "keypoints": POSETRACK_NAMES}
    return {"images": images, "annotations": annotations, "categories": [category]}, results
