"""Random annotation files and predictions with what a judge must mind: crowds, ties, empty pictures, many results."""

from __future__ import annotations

from typing import Any

import numpy as np

JOINTS = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"]
JOINTS += ["right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee"]
JOINTS += ["left_ankle", "right_ankle"]


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
