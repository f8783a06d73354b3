"""The fast OKS evaluation is pycocotools to 1e-9 on whatever a judge may meet, and both refuse what means nothing."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from litepose_nas.data.skeleton import sigmas_of
from litepose_nas.errors import UserError
from litepose_nas.metrics import oks
from litepose_nas.metrics.coco import (
    Truth,
    bootstrap_ap,
    coco_ap,
    fast_ap,
    found_of,
    judged,
    labels_of,
    truth_of,
)
from tests.helpers.coco_file import truth_at
from tests.helpers.drawn_results import JOINTS, drawn_pair
from tests.helpers.pycoco import judged_alone, three_numbers

HERE = Path("drawn.json")
REAL = os.environ.get("POSE_REAL_DATA")


def truth_from(document: dict) -> Truth:
    return truth_of(document, HERE, sigmas_of(JOINTS))


@pytest.mark.parametrize("block", range(8))
def test_random_sets_are_judged_as_pycocotools_does(block):
    """Thirty sets a block: 240 with crowds, people without joints, ties, empty pictures, more than twenty results."""
    met = {"crowd": 0, "unlabelled": 0, "empty": 0, "many": 0, "ties": 0, "between": 0}
    for seed in range(30 * block, 30 * block + 30):
        document, results = drawn_pair(seed, images=1 + seed % 6)
        alone, _ = judged_alone(document, results)
        truth = truth_from(document)
        fast = three_numbers(labels_of(truth), found_of(truth, results))
        np.testing.assert_allclose(fast, alone[:3], rtol=0, atol=1e-9, err_msg=f"seed {seed}")
        np.testing.assert_allclose(coco_ap(truth, results), alone, rtol=0, atol=0, err_msg=f"seed {seed}")
        assert fast_ap(truth, results) == fast[0]
        per_image = [sum(r["image_id"] == image["id"] for r in results) for image in document["images"]]
        met["crowd"] += any(a["iscrowd"] for a in document["annotations"])
        met["unlabelled"] += any(not a["iscrowd"] and not a["num_keypoints"] for a in document["annotations"])
        met["empty"] += any(all(a["image_id"] != i["id"] for a in document["annotations"]) for i in document["images"])
        met["many"] += max(per_image) > oks.MAX_DETECTIONS
        met["ties"] += len({r["score"] for r in results}) < len(results)
        met["between"] += 0 < alone[0] < 1
    assert min(met.values()) >= 5, met


def test_results_with_boxes_and_of_other_categories():
    """Pycocotools takes the size of a result from its box where it has one, and leaves out other categories."""
    document, results = drawn_pair(3, images=6)
    truth = truth_from(document)
    plain = coco_ap(truth, results)
    for number, result in enumerate(results):
        result["bbox"] = [0, 0, 20 + number % 100, 30]
    results.append({**results[0], "category_id": 7})
    alone, _ = judged_alone(document, results)
    fast = three_numbers(labels_of(truth), found_of(truth, results))
    np.testing.assert_allclose(fast, alone[:3], rtol=0, atol=1e-9)
    assert list(coco_ap(truth, results)) == alone
    assert coco_ap(truth, results)[3:5] != plain[3:5]
    del results[0]["bbox"]  # then none counts
    assert coco_ap(truth, results[:-1]) == plain


def test_the_best_of_equally_similar_people_is_the_later():
    """Two people with the very same joints: the choice decides who stays free for the next result."""
    document, _ = drawn_pair(0, images=1)
    points = (
        np.concatenate([np.random.default_rng(0).uniform(0, 100, (17, 2)), np.full((17, 1), 2)], 1).ravel().tolist()
    )
    person = {"image_id": document["images"][0]["id"], "category_id": 1, "keypoints": points, "num_keypoints": 17}
    person |= {"bbox": [0, 0, 100, 100], "iscrowd": 0}
    document["annotations"] = [{**person, "id": 1, "area": 3000.0}, {**person, "id": 2, "area": 3000.0}]
    result = {"image_id": person["image_id"], "category_id": 1, "keypoints": points, "score": 0.5}
    truth = truth_from(document)
    for results in ([result], [result] * 2, [result] * 3):
        fast = three_numbers(labels_of(truth), found_of(truth, results))
        np.testing.assert_allclose(fast, judged_alone(document, results)[0][:3], rtol=0, atol=1e-9)


def test_nothing_found_and_nobody_to_find():
    document, results = drawn_pair(5, images=3)
    truth = truth_from(document)
    assert three_numbers(labels_of(truth), found_of(truth, [])) == judged_alone(document, [])[0][:3]
    nobody = {**document, "annotations": []}
    empty = truth_from(nobody)
    assert three_numbers(labels_of(empty), found_of(empty, results)) == [-1.0] * 3
    assert fast_ap(empty, []) == -1
    assert list(coco_ap(empty, results)) == [-1.0] * 10


def test_some_pictures_only():
    document, results = drawn_pair(8, images=6)
    ids = sorted(image["id"] for image in document["images"])[1:4]
    part = truth_of(document, HERE, sigmas_of(JOINTS), ids)
    fast = three_numbers(labels_of(part), found_of(part, results))
    assert fast == pytest.approx(coco_ap(part, results)[:3], abs=1e-9)
    assert fast_ap(part, results) == coco_ap(part, results).ap


def test_draws_of_the_bootstrap_are_those_of_pycocotools():
    document, results = drawn_pair(11, images=6)
    truth = truth_from(document)
    drawn = bootstrap_ap(truth, results, resamples=20, seed=4)
    judge = judged(truth, results)
    of_image = judge.evalImgs[:6]
    rng = np.random.default_rng(4)
    judge.params.areaRng = judge._paramsEval.areaRng = judge.params.areaRng[:1]
    judge.params.imgIds = judge._paramsEval.imgIds = list(range(6))
    for sample in drawn:
        judge.evalImgs = [of_image[place] for place in rng.integers(6, size=6)]
        with contextlib.redirect_stdout(io.StringIO()):
            judge.accumulate()
        precision = judge.eval["precision"]
        assert sample == pytest.approx(precision[precision > -1].mean() if (precision > -1).any() else -1, abs=1e-9)


def test_areas_that_are_missing_or_nothing_are_filled_and_counted():
    document, results = drawn_pair(2, images=4)
    filled = copy.deepcopy(document)
    for number, annotation in enumerate(document["annotations"]):
        box = annotation["bbox"]
        if number % 2:
            filled["annotations"][number]["area"] = 0.53 * box[2] * box[3]
            annotation["area"] = [0, None][number % 4 // 2]
    truth = truth_from(document)
    assert truth.filled == len(document["annotations"]) // 2 > 2
    assert list(coco_ap(truth, results)) == pytest.approx(judged_alone(filled, results)[0], abs=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 5}, "image 5, which the annotations do not list"),
        ({"keypoints": [1.0, 2.0, 3.0]}, "3 numbers in 'keypoints', and 17 joints need 51"),
        ({"keypoints": "many"}, "no list of numbers in 'keypoints'"),
        ({"keypoints": [float("nan")] * 51}, "NaN or an infinity in 'keypoints'"),
        ({"keypoints": ["a"] * 51}, "other than numbers in 'keypoints'"),
        ({"score": float("inf")}, "NaN or an infinity in 'score'"),
        ({"score": None}, "'score'"),
        ({"category_id": 3}, "no result is of category 1"),
    ],
)
def test_results_that_mean_nothing(change, message):
    document, results = drawn_pair(1, images=3)
    truth = truth_from(document)
    for judge in (coco_ap, fast_ap):
        with pytest.raises(UserError, match=message):
            judge(truth, [{**results[0], **change}])
    for key in ("image_id", "keypoints", "score", "category_id"):
        lacking = {name: value for name, value in results[0].items() if name != key}
        with pytest.raises(UserError, match=f"result 0 has no '{key}'"):
            fast_ap(truth, [lacking])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"area": 0, "bbox": [3, 3, 0, 10]}, "neither an area nor a box with one"),
        ({"area": "big"}, "'area' must be a number of 0 or more"),
        ({"keypoints": [float("nan")] * 51}, "coordinates must be finite"),
        ({"bbox": None}, "no 'bbox' of four numbers"),
    ],
)
def test_people_who_cannot_be_judged(change, message):
    document, _ = drawn_pair(1, images=3)
    person = next(a for a in document["annotations"] if a["num_keypoints"] and not a["iscrowd"])
    person.update(change)
    with pytest.raises(UserError, match=message):
        truth_from(document)


def test_sigmas_of_another_joint_count_and_images_twice():
    document, _ = drawn_pair(1, images=3)
    with pytest.raises(UserError, match="17 joints a person, but 14 sigmas"):
        truth_of(document, HERE, sigmas_of(JOINTS[:14]))
    document["images"].append(document["images"][0])
    with pytest.raises(UserError, match="two images with the same 'id'"):
        truth_from(document)


@pytest.mark.skipif(not REAL, reason="POSE_REAL_DATA is not set")
def test_the_real_pair():
    folder = Path(REAL or "") / "evaluator"
    results = json.loads((folder / "xtcocoapi_example_coco_preds.json").read_text())
    path = folder / "xtcocoapi_example_coco_val.json"
    truth = truth_at(path)
    scores = coco_ap(truth, results)
    assert [round(value, 4) for value in (scores.ap, scores.ap50, scores.ar)] == [0.8609, 0.9931, 0.8750]
    alone, _ = judged_alone(json.loads(path.read_text()), results)
    assert list(scores) == pytest.approx(alone, abs=1e-9)
    fast = three_numbers(labels_of(truth), found_of(truth, results))
    assert fast == pytest.approx(alone[:3], abs=1e-9)


def test_the_mean_similarity_is_that_of_the_nearest_results():
    for seed in range(40):
        document, results = drawn_pair(seed, images=1 + seed % 4)
        truth = truth_from(document)
        labels = labels_of(truth)
        if not len(labels.image) or labels.ignored.all():
            continue
        best = []
        for person in [a for a in document["annotations"] if not a["iscrowd"] and a["num_keypoints"]]:
            joints = np.array(person["keypoints"], float).reshape(-1, 3)
            seen, nearest = joints[:, 2] > 0, 0.0
            for result in results:
                if result["image_id"] == person["image_id"]:
                    points = np.array(result["keypoints"], float).reshape(-1, 3)
                    gap = ((points - joints)[seen, :2] ** 2).sum(1)
                    variance = (2 * np.array(sigmas_of(JOINTS))[seen]) ** 2
                    nearest = max(nearest, np.exp(-gap / variance / person["area"] / 2).mean())
            best.append(nearest)
        assert oks.mean_similarity(labels, found_of(truth, results)) == pytest.approx(np.mean(best), abs=1e-9)
