"""The NME of faces by hand and against loops, faces nobody found, and what its report says."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from litepose_nas.errors import UserError
from litepose_nas.metrics import nme
from litepose_nas.metrics.coco import found_of, labels_of, truth_of
from litepose_nas.metrics.from_files import PredictionFiles, judge
from tests.helpers.drawn_results import drawn_pair

NAMES = ["chin", "nose", "left_outer", "right_outer", "mouth"]
ENDS = (2, 3)


def errors_from(document: dict, results: list[dict], ends: tuple[int, int] = ENDS) -> np.ndarray:
    joints = len(document["categories"][0]["keypoints"])
    truth = truth_of(document, Path("faces.json"), [0.05] * joints)
    return nme.errors_of(labels_of(truth), found_of(truth, results), ends)


def face(number: int, image: int, points: list[tuple[float, float, int]]) -> dict:
    flat, seen = [float(value) for point in points for value in point], sum(flag > 0 for *_, flag in points)
    box = {"bbox": [0, 0, 100, 100], "area": 5300.0}
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "keypoints": flat, "num_keypoints": seen, **box
    }  # fmt: skip


def document_of(faces: list[dict]) -> dict:
    ids = sorted({one["image_id"] for one in faces})
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200} for i in ids]
    return {
        "images": images,
        "annotations": faces,
        "categories": [{"id": 1, "name": "face", "keypoints": NAMES, "skeleton": []}],
    }


def moved(one: dict, gaps: list[tuple[float, float]], image: int | None = None) -> dict:
    points = np.array(one["keypoints"]).reshape(-1, 3).copy()
    points[:, :2] += gaps
    points[:, 2] = 0.9
    return {
        "image_id": one["image_id"] if image is None else image,
        "category_id": 1, "keypoints": points.ravel().tolist(), "score": 0.5,
    }  # fmt: skip


# The outer corners of the eyes are 50 px apart in the first face (30, 40), 20 in the second.
FIRST = face(1, 1, [(50, 90, 2), (50, 60, 2), (20, 20, 2), (50, 60, 1), (40, 80, 0)])
SECOND = face(2, 2, [(50, 90, 2), (50, 60, 2), (40, 40, 2), (60, 40, 2), (45, 70, 2)])


def test_two_faces_by_hand():
    found = [
        moved(FIRST, [(3, 4), (0, 0), (0, 10), (5, 0), (90, 90)]),  # 5, 0, 10, 5 px; the mouth is not labelled
        moved(SECOND, [(0, 1), (0, 1), (1, 0), (1, 0), (0, 6)]),  # 1, 1, 1, 1, 6 px
    ]
    errors = errors_from(document_of([FIRST, SECOND]), found)
    np.testing.assert_allclose(nme.of_subjects(errors), [20 / 4 / 50, 10 / 5 / 20], rtol=1e-12)
    assert nme.nme(errors) == pytest.approx((0.1 + 0.1) / 2)
    np.testing.assert_allclose(nme.of_joints(errors), [0.075, 0.025, 0.125, 0.075, 0.3], rtol=1e-12)
    worse = errors_from(document_of([FIRST, SECOND]), [found[0], moved(SECOND, [(0, 3)] * 5)])
    assert nme.nme(worse) == pytest.approx((0.1 + 0.15) / 2)  # a face counts once, whatever it has labelled
    assert nme.failures(worse) == 0.5


def test_faces_without_a_result_fail_and_are_in_no_mean():
    errors = errors_from(document_of([FIRST, SECOND]), [moved(FIRST, [(5, 0)] * 5)])
    assert np.isposinf(errors[1]).all()
    assert nme.nme(errors) == pytest.approx(0.1)
    assert nme.failures(errors) == 0.5
    nothing = errors_from(document_of([FIRST, SECOND]), [])
    assert math.isnan(nme.nme(nothing))
    assert nme.failures(nothing) == 1


def test_a_result_far_away_counts():
    """PCK takes a result of no similarity for nobody; here that would make the worst networks look good."""
    errors = errors_from(document_of([SECOND]), [moved(SECOND, [(150, 0)] * 5)])
    assert nme.nme(errors) == pytest.approx(150 / 20)


def test_faces_without_a_size_are_left_out():
    lacking = face(3, 3, [(50, 90, 2), (50, 60, 2), (20, 20, 0), (50, 60, 2), (40, 80, 2)])
    on_one_place = face(4, 4, [(50, 90, 2), (50, 60, 2), (20, 20, 2), (20, 20, 2), (40, 80, 2)])
    faces = [FIRST, lacking, on_one_place]
    errors = errors_from(document_of(faces), [moved(one, [(5, 0)] * 5) for one in faces])
    assert np.isnan(errors[1:]).all()
    assert len(nme.of_subjects(errors)) == 1
    assert nme.nme(errors) == pytest.approx(0.1)


def literal(document: dict, results: list[dict], ends: tuple[int, int]) -> tuple[list[float], int]:
    """The mean error of each face that can be measured, and how many have no result; one pair after the other."""
    means, alone = [], 0
    for image in document["images"]:
        faces = [one for one in document["annotations"] if one["image_id"] == image["id"]]
        faces = [one for one in faces if one["num_keypoints"] and not one["iscrowd"]]
        mine = [one for one in results if one["image_id"] == image["id"]]
        gaps = {}
        for f, r in itertools.product(range(len(faces)), range(len(mine))):
            true, guess = (one["keypoints"] for one in (faces[f], mine[r]))
            each = {
                j: math.hypot(true[3 * j] - guess[3 * j], true[3 * j + 1] - guess[3 * j + 1])
                for j in range(len(true) // 3)
                if true[3 * j + 2]
            }
            gaps[f, r] = sum(each.values()) / len(each), each
        taken: dict[int, dict[int, float]] = {}
        while gaps:
            f, r = min(gaps, key=lambda pair: gaps[pair][0])
            taken[f] = gaps[f, r][1]
            gaps = {pair: value for pair, value in gaps.items() if f != pair[0] and r != pair[1]}
        for f, one in enumerate(faces):
            (x0, y0, flag0), (x1, y1, flag1) = (one["keypoints"][3 * end : 3 * end + 3] for end in ends)
            if not (flag0 and flag1):
                continue
            if f in taken:
                means.append(sum(taken[f].values()) / len(taken[f]) / math.dist((x0, y0), (x1, y1)))
            else:
                alone += 1
    return means, alone


def test_random_sets():
    unfound = several = 0
    for seed in range(25):
        document, results = drawn_pair(seed, images=5, joints=7)
        results = results[: len(results) // 2]
        means, alone = literal(document, results, (1, 4))
        errors = errors_from(document, results, (1, 4))
        each = nme.of_subjects(errors)
        np.testing.assert_allclose(sorted(each[np.isfinite(each)]), sorted(means), rtol=1e-12)
        assert nme.nme(errors) == pytest.approx(np.mean(means) if means else math.nan, nan_ok=True)
        assert np.isinf(each).sum() == alone
        unfound, several = unfound + alone, several + len(means)
    assert unfound > 10
    assert several > 50


def judged(folder: Path, document: dict, results: list[dict], words: str = ""):
    (folder / "faces.json").write_text(json.dumps(document))
    (folder / "found.json").write_text(json.dumps(results))
    (folder / "data.yaml").write_text(
        f"val: {{images: ., annotations: faces.json}}\nkeypoints: {json.dumps(NAMES)}\nsigmas: 0.05\n{words}"
    )
    return judge("nme", PredictionFiles(folder / "found.json", str(folder / "data.yaml")))


def test_the_report_says_what_was_measured(tmp_path):
    blind = face(3, 3, [(50, 90, 2), (50, 60, 2), (20, 20, 0), (50, 60, 2), (40, 80, 2)])
    document, found = document_of([FIRST, SECOND, blind]), [moved(FIRST, [(5, 0)] * 5)]
    report = judged(tmp_path, document, found, "nme_joints: [left_outer, 3]\n")
    assert report.figures["nme"] == pytest.approx(0.1)
    assert report.figures["failures@0.1"] == 0.5
    assert report.figures["people_found"] == 1
    assert report.figures["joints"] == {**dict.fromkeys(NAMES, pytest.approx(0.1)), "mouth": None}
    assert report.lines[-2].split() == ["all", "10.0"]
    notes = "\n".join(report.conditions.notes)
    assert "from left_outer to right_outer, which 2 of 3 subjects have labelled" in notes
    assert "1 of 2 subjects have a result" in notes


def test_what_cannot_be_measured_is_told(tmp_path):
    with pytest.raises(UserError, match="add `nme_joints` to the dataset's YAML"):
        judged(tmp_path, document_of([FIRST]), [])
    with pytest.raises(UserError, match="nobody has both chin and mouth labelled"):
        judged(tmp_path, document_of([FIRST]), [], "nme_joints: [chin, mouth]\n")
