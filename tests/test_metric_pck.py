"""PCK and pixel errors of any skeleton against loops, and people nobody found."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from litepose_nas.data.skeleton import OTHER_SIGMA
from litepose_nas.errors import UserError
from litepose_nas.metrics import pck
from litepose_nas.metrics.coco import found_of, labels_of, truth_of
from litepose_nas.metrics.pck import errors_of, mean_pck, median_error, people_found
from tests.helpers.drawn_results import drawn_pair

ARM = ["base", "left_shoulder", "elbow", "wrist", "right_hip", "left_tip", "right_tip"]


def errors_from(document: dict, results: list[dict], names: list[str]) -> pck.Errors:
    truth = truth_of(document, Path("arm.json"), [OTHER_SIGMA] * len(names))
    return errors_of(labels_of(truth), found_of(truth, results), names)


def literal(
    document: dict, results: list[dict], share: float, torso: bool
) -> tuple[list[float], float, list[float], int]:
    """For each joint the share of people who have it near enough, that of all joints, the errors, and who was found."""
    hits, labelled, gaps, found = [0] * 7, [0] * 7, [], 0
    for image in document["images"]:
        people = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        people = [a for a in people if a["num_keypoints"] and not a["iscrowd"]]
        mine = [r for r in results if r["image_id"] == image["id"]]
        similar = {(p, r): oks(people[p], mine[r]) for p in range(len(people)) for r in range(len(mine))}
        of_person: dict[int, int] = {}
        for (p, r), value in sorted(similar.items(), key=lambda item: -item[1]):
            if value >= 0.1 and p not in of_person and r not in of_person.values():
                of_person[p] = r
        found += len(of_person)
        for p, person in enumerate(people):
            true = np.array(person["keypoints"]).reshape(7, 3)
            size = max(person["bbox"][2:])
            if torso:
                if not (true[1, 2] and true[4, 2]):
                    size = math.nan
                else:
                    size = math.dist(true[1, :2], true[4, :2])
            for j in range(7):
                if not true[j, 2]:
                    continue
                gap = math.inf
                if p in of_person:
                    gap = math.dist(true[j, :2], mine[of_person[p]]["keypoints"][3 * j : 3 * j + 2])
                    gaps.append(gap)
                if size == size:
                    labelled[j] += 1
                    hits[j] += gap <= share * size
    rates = [h / n if n else math.nan for h, n in zip(hits, labelled, strict=True)]
    return rates, sum(hits) / sum(labelled), gaps, found


def oks(person: dict, result: dict) -> float:
    true, guess = np.array(person["keypoints"]).reshape(7, 3), np.array(result["keypoints"]).reshape(7, 3)
    seen = true[:, 2] > 0
    square = ((true - guess)[seen, :2] ** 2).sum(1)
    return float(np.exp(-square / (2 * (2 * OTHER_SIGMA) ** 2 * person["area"])).mean())


@pytest.mark.parametrize("size", ["box", "torso"])
def test_random_sets(size):
    unfound = 0
    for seed in range(25):
        document, results = drawn_pair(seed, images=5, joints=7, names=ARM)
        results = results[: len(results) // 2]
        errors = errors_from(document, results, ARM)
        for share in (0.05, 0.2):
            rates, mean, gaps, found = literal(document, results, share, size == "torso")
            np.testing.assert_allclose(pck.pck(errors, share, size), rates, rtol=0, atol=1e-12, err_msg=str(seed))
            assert mean_pck(errors, share, size) == pytest.approx(mean, abs=1e-12)
        assert people_found(errors) == found
        unfound += len(errors.boxes) - found
        assert median_error(errors)[0] == pytest.approx(np.median(gaps) if gaps else math.nan, nan_ok=True)
    assert unfound > 20


def test_other_skeletons_have_no_torso():
    document, results = drawn_pair(1, images=5, joints=7, names=ARM)
    errors = errors_from(document, results, ["a", "b", "c", "d", "e", "f", "g"])
    assert np.isnan(errors.torsos).all()
    assert math.isnan(mean_pck(errors, 0.2, "torso"))
    assert np.isnan(pck.pck(errors, 0.2, "torso")).all()
    with pytest.raises(UserError, match="not 'head'"):
        pck.pck(errors, 0.2, "head")


def test_nothing_found_and_nobody():
    document, results = drawn_pair(1, images=5, joints=7, names=ARM)
    errors = errors_from(document, [], ARM)
    assert mean_pck(errors, 0.2) == 0
    assert people_found(errors) == 0
    assert math.isnan(median_error(errors)[0])
    nobody = errors_from({**document, "annotations": []}, results, ARM)
    assert math.isnan(mean_pck(nobody, 0.2))
