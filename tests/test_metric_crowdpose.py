"""CrowdPose's nine figures: pycocotools on each split's pictures, with CrowdPose's sigmas and areas, is the oracle."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest

from litepose_nas.data.layouts.crowdpose import SPLIT_RULES, split_of
from litepose_nas.errors import UserError
from litepose_nas.metrics.crowdpose import CrowdScores, crowd_truth, crowdpose_ap, nine_lines
from tests.helpers.drawn_results import drawn_crowd, drawn_pair
from tests.helpers.pycoco import judged_alone

SIGMAS = np.array([0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79]) / 10
REAL = os.environ.get("POSE_REAL_DATA")


def literal(document: dict, results: list[dict], low: float, high: float) -> list[float]:
    """Nine numbers by four whole evaluations of pycocotools; nobody to find is -1."""
    filled = copy.deepcopy(document)
    for annotation in filled["annotations"]:
        annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3] * 0.53
    of = {image["id"]: image["crowdIndex"] for image in document["images"]}
    splits = [
        [i for i, index in of.items() if index < low],
        [i for i, index in of.items() if low <= index < high],
        [i for i, index in of.items() if index >= high],
    ]
    numbers = [judged_alone(filled, results, SIGMAS, ids)[0] if ids else [-1.0] * 10 for ids in (list(of), *splits)]
    whole = numbers[0]
    return [*whole[:3], *whole[5:8], *(part[0] for part in numbers[1:])]


@pytest.mark.parametrize("rule", SPLIT_RULES)
def test_random_sets_against_each_split_judged_alone(rule):
    kinds = np.zeros(3, int)
    for seed in range(40):
        document, results = drawn_crowd(seed)
        if not results:
            continue
        scores = crowdpose_ap(crowd_truth(document, Path("crowd.json"), rule), results)
        expected = literal(document, results, *{"released": (0.2, 0.8), "paper": (0.1, 0.8)}[rule])
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9, err_msg=f"seed {seed}")
        kinds += np.array(scores[6:]) > 0
    assert kinds.min() > 5


def test_the_rules_differ_where_they_should():
    indices = (0.0, 0.0999, 0.1, 0.1999, 0.2, 0.7999, 0.8, 3.0)
    released = ["easy"] * 4 + ["medium"] * 2 + ["hard"] * 2
    paper = ["easy"] * 2 + ["medium"] * 4 + ["hard"] * 2
    assert [split_of(index) for index in indices] == released
    assert [split_of(index, "paper") for index in indices] == paper
    with pytest.raises(UserError, match="did you mean 'paper'"):
        split_of(0.3, "papers")


def test_areas_of_the_file_do_not_count():
    """CrowdPose's evaluation knows boxes alone."""
    document, results = drawn_crowd(4)
    plain = crowdpose_ap(crowd_truth(document, Path("crowd.json")), results)
    for annotation in document["annotations"]:
        annotation["area"] = 5.0
    assert crowdpose_ap(crowd_truth(document, Path("crowd.json")), results) == plain


def test_files_that_are_not_crowdpose():
    document, _ = drawn_pair(0)
    with pytest.raises(UserError, match="17 joints a person, but 14 sigmas"):
        crowd_truth(document, Path("crowd.json"))
    document, _ = drawn_crowd(0)
    del document["images"][1]["crowdIndex"]
    with pytest.raises(UserError, match="no 'crowdIndex'"):
        crowd_truth(document, Path("crowd.json"))


def test_lines_name_the_limits():
    lines = nine_lines(CrowdScores(*np.linspace(0.1, 0.9, 9).tolist()), "paper").split("\n")
    assert len(lines) == 9
    assert lines[0] == " Average Precision  (AP) @[ IoU=0.50:0.95 | type=   all | maxDets= 20 ] = 0.100"
    assert lines[3].startswith(" Average Recall     (AR)")
    assert lines[6].endswith("type=  easy | maxDets= 20 ] = 0.700  (crowdIndex below 0.1)")


@pytest.mark.skipif(not REAL, reason="POSE_REAL_DATA is not set")
def test_the_real_pair_and_the_real_splits():
    folder = Path(REAL or "")
    document = json.loads((folder / "evaluator" / "xtcocoapi_example_crowdpose_val.json").read_text())
    results = json.loads((folder / "evaluator" / "xtcocoapi_example_crowdpose_preds.json").read_text())
    for rule, limits in SPLIT_RULES.items():
        scores = crowdpose_ap(crowd_truth(document, Path("crowd.json"), rule), results)
        assert list(scores) == pytest.approx(literal(document, results, *limits), abs=1e-9)
    whole = json.loads((folder / "crowdpose" / "crowdpose_val.json").read_text())
    for rule, counts in (("released", [411, 1240, 349]), ("paper", [192, 1459, 349])):
        splits = crowd_truth(whole, Path("crowdpose_val.json"), rule).splits
        assert [len(ids) for ids in splits.values()] == counts
