"""PoseTrack's AP against a slow reading of its rules, with missing joints, ignore regions and unmatched people."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.errors import UserError
from litepose_nas.metrics.posetrack import JOINTS, frames_of, inside, joint_ap, posetrack_ap
from tests.helpers.drawn_results import POSETRACK_NAMES, drawn_video

GROUPS = {
    "head": ["nose", "head_bottom", "head_top"],
    **{part: [f"left_{part}", f"right_{part}"] for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
}


def in_a_region(x: float, y: float, regions: list[list[float]]) -> bool:
    shapes = [np.array(region, np.float32).reshape(-1, 1, 2) for region in regions]
    return any(cv2.pointPolygonTest(shape, (x, y), False) > 0 for shape in shapes)


def joints_of(entry: dict, regions: list[list[float]]) -> dict[str, tuple[float, float, float]]:
    """The joints of a person or prediction by name, without ears, absent joints and those to be ignored."""
    points = np.array(entry["keypoints"]).reshape(17, 3).tolist()
    scores = entry.get("scores") or [point[2] for point in points]
    return {
        name: (x, y, scores[place])
        for place, (name, (x, y, third)) in enumerate(zip(POSETRACK_NAMES, points, strict=True))
        if "ear" not in name and (x, y, third) != (0, 0, 0) and not in_a_region(x, y, regions)
    }


def literal(document: dict, results: list[dict]) -> tuple[dict[str, float], dict[str, int]]:
    """The evaluation's steps in their order, with loops; and how often each special case was met."""
    ranked: dict[str, list[tuple[float, bool]]] = {name: [] for name in POSETRACK_NAMES if "ear" not in name}
    people = dict.fromkeys(ranked, 0)
    met = dict.fromkeys(("ignored", "unmatched person", "unmatched prediction", "frame left out", "rival"), 0)
    for image in document["images"]:
        labelled = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        if not labelled:
            met["frame left out"] += 1
            continue
        regions = image["ignore_regions"]
        truths = [(joints_of(a, regions), 0.6 * math.hypot(*a["head_box"][2:])) for a in labelled]
        met["ignored"] += sum(
            len(joints) < len(joints_of(a, [])) for (joints, _), a in zip(truths, labelled, strict=True)
        )
        truths = [(joints, head) for joints, head in truths if joints]
        found = [joints_of(r, regions) for r in results if r["image_id"] == image["id"]]
        found = [joints for joints in found if joints]
        for joints, _ in truths:
            for name in joints:
                people[name] += 1

        def near(one: dict, truth: tuple, name: str) -> bool:
            joints, head = truth
            return name in one and name in joints and math.dist(one[name][:2], joints[name][:2]) / head <= 0.5

        # Each prediction's best person, then each person's best prediction among those.
        wishes = []
        for one in found:
            shares = [sum(near(one, truth, name) for name in ranked) / len(truth[0]) for truth in truths]
            best = shares.index(max(shares)) if shares else -1
            wishes.append((best, shares[best] if shares else 0))
        owner: dict[int, int] = {}
        for person in range(len(truths)):
            rivals = [(share, place) for place, (best, share) in enumerate(wishes) if best == person and share > 0]
            met["rival"] += len(rivals) > 1
            met["unmatched person"] += not rivals
            if rivals:
                top = max(share for share, _ in rivals)
                owner[next(place for share, place in rivals if share == top)] = person
        for place, one in enumerate(found):
            met["unmatched prediction"] += place not in owner
            for name, (_, _, score) in one.items():
                right = place in owner and near(one, truths[owner[place]], name)
                ranked[name].append((score, right))
    return {name: literal_ap(rows, people[name]) for name, rows in ranked.items()}, met


def literal_ap(rows: list[tuple[float, bool]], people: int) -> float:
    if not people:
        return math.nan
    rows = sorted(rows, key=lambda row: row[0])[::-1]  # of equal scores the later first
    precision, recall, hits = [0.0], [0.0], 0
    for place, (_, right) in enumerate(rows, 1):
        hits += right
        precision.append(hits / place)
        recall.append(hits / people)
    precision.append(0.0)
    recall.append(1.0)
    for place in range(len(precision) - 2, -1, -1):
        precision[place] = max(precision[place], precision[place + 1])
    return 100 * sum((recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)))


def test_random_videos():
    total = dict.fromkeys(("ignored", "unmatched person", "unmatched prediction", "frame left out", "rival"), 0)
    for seed in range(60):
        document, results = drawn_video(seed)
        expected, met = literal(document, results)
        scores = posetrack_ap(frames_of(document, Path("video.json"), results))
        for name in JOINTS:
            assert scores.joints[name] == pytest.approx(expected[name], abs=1e-9, nan_ok=True), (seed, name)
        for part, names in GROUPS.items():
            value = np.nanmean([expected[name] for name in names])
            assert getattr(scores, part) == pytest.approx(value, abs=1e-9), (seed, part)
        assert scores.total == pytest.approx(np.nanmean(list(expected.values())), abs=1e-9)
        total = {key: total[key] + met[key] for key in total}
    assert min(total.values()) > 20, total
    assert set(JOINTS) == set(expected)


def test_perfect_results_and_none():
    document, _ = drawn_video(2)
    perfect = [dict(a) for a in document["annotations"]]
    assert posetrack_ap(frames_of(document, Path("v"), perfect)).total == pytest.approx(100)
    assert posetrack_ap(frames_of(document, Path("v"), [])).total == 0
    document["annotations"] = []
    assert math.isnan(posetrack_ap(frames_of(document, Path("v"), perfect)).total)


def test_points_and_polygons():
    """A figure of eight leaves its crossing out, and its edge belongs to nobody."""
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10.0]])
    points = np.array([[5, 5], [0, 5], [10, 10], [5, 0], [-1, 5], [5, 11], [9.999, 0.001]])
    assert inside(points, square).tolist() == [True, False, False, False, False, False, True]
    assert inside(points, square[::-1]).tolist() == inside(points, square).tolist()
    assert not inside(points, square[:2]).any()
    rng = np.random.default_rng(0)
    for _ in range(50):
        polygon = rng.integers(0, 12, (rng.integers(3, 9), 2)).astype(float)
        grid = np.stack(np.meshgrid(np.arange(-1, 14), np.arange(-1, 14)), -1).reshape(-1, 2) * 1.0
        shape = polygon.astype(np.float32)[:, None]
        on_or_in = [cv2.pointPolygonTest(shape, tuple(point), False) for point in grid.tolist()]
        assert inside(grid, polygon).tolist() == [place > 0 for place in on_or_in], polygon


def test_an_area_by_hand():
    # Found, wrong, found: precision 1, 1/2, 2/3 at recalls 1/4, 1/4, 1/2.
    assert joint_ap(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 4) == pytest.approx(0.25 + 0.25 * 2 / 3)
    assert joint_ap(np.zeros(0), np.zeros(0, bool), 3) == 0


def test_what_cannot_be_judged():
    document, results = drawn_video(3)
    with pytest.raises(UserError, match="image 5, which the annotations do not list"):
        frames_of(document, Path("v"), [{**results[0], "image_id": 5}])
    with pytest.raises(UserError, match="17 times x, y and a third number"):
        frames_of(
            document, Path("v"), [{**results[0], "image_id": document["annotations"][0]["image_id"], "keypoints": [1]}]
        )
    bad = {**results[0], "image_id": document["annotations"][0]["image_id"]}
    with pytest.raises(UserError, match="NaN or an infinity in 'keypoints'"):
        frames_of(document, Path("v"), [{**bad, "keypoints": [math.nan] * 51}])
    with pytest.raises(UserError, match="NaN or an infinity among its scores"):
        frames_of(document, Path("v"), [{**bad, "scores": [math.nan] * 17}])
    with pytest.raises(UserError, match="'scores' are not 17 numbers"):
        frames_of(document, Path("v"), [{**bad, "scores": [1.0]}])
    del document["annotations"][0]["head_box"]
    with pytest.raises(UserError, match="no head box"):
        frames_of(document, Path("v"), results)
    document["categories"][0]["keypoints"] = list(known_skeleton("coco").names)
    with pytest.raises(UserError, match="no joint 'head_bottom'"):
        frames_of(document, Path("v"), results)
