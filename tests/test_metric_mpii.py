"""PCKh against a slow reading of its rules, with missing joints, single people and MPII's own files."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from litepose_nas.errors import UserError
from litepose_nas.metrics import mpii
from litepose_nas.metrics.mpii import HeadTruth, Pckh, pckh, write_mpii
from tests.helpers.drawn_results import drawn_truth, write_truth


def literal(found: np.ndarray, truth: HeadTruth, corners: np.ndarray, threshold: float) -> list[float]:
    """The rules one by one: head size, hit or miss, rate of each joint, columns, mean over fourteen joints."""
    hits = dict.fromkeys(mpii.JOINTS, 0)
    labelled = dict.fromkeys(mpii.JOINTS, 0)
    for person in range(len(found)):
        (left, top), (right, bottom) = corners[person]
        size = 0.6 * math.sqrt((right - left) ** 2 + (bottom - top) ** 2)
        for joint, name in enumerate(mpii.JOINTS):
            if not truth.present[person, joint]:
                continue
            labelled[name] += 1
            if math.dist(found[person, joint], truth.joints[person, joint]) / size <= threshold:
                hits[name] += 1

    def rate(name: str) -> float:
        return 100 * hits[name] / labelled[name] if labelled[name] else math.nan

    row = [rate("head")]
    for joint in ("sho", "elb", "wri", "hip", "kne", "ank"):
        row.append((rate("l" + joint) + rate("r" + joint)) / 2)
    counted = [name for name in mpii.JOINTS if name not in ("pelv", "thor")]
    return [*row, 100 * sum(hits[name] for name in counted) / sum(labelled[name] for name in counted)]


@pytest.mark.parametrize("threshold", [0.5, 0.1])
def test_random_people(threshold):
    for seed in range(30):
        truth, corners, found = drawn_truth(seed)
        row = pckh(found, truth, threshold)
        np.testing.assert_allclose(row, literal(found, truth, corners, threshold), rtol=0, atol=1e-9)
        assert 5 < row.mean < 95


def test_a_tenth_is_a_tenth():
    """Published tables have figures at 0.11 under the name of 0.1."""
    truth = HeadTruth(np.zeros((2, 16, 2)), np.ones((2, 16), bool), np.array([100.0, 100.0]))
    found = np.zeros((2, 16, 2))
    found[..., 0] = 10.5
    assert pckh(found, truth, 0.1).mean == 0
    assert pckh(found, truth, 0.11).mean == 100
    found[..., 0] = 10
    assert pckh(found, truth, 0.1).mean == 100


def test_the_mean_is_over_joints_not_columns():
    truth = HeadTruth(np.zeros((1, 16, 2)), np.ones((1, 16), bool), np.array([10.0]))
    found = np.full((1, 16, 2), 100.0)
    found[0, [mpii.JOINTS.index(name) for name in ("pelv", "thor", "neck", "head")]] = 0
    assert pckh(found, truth) == pytest.approx(Pckh(100, 0, 0, 0, 0, 0, 0, 100 * 2 / 14))


def test_heads_of_no_size_and_nobody():
    truth, _, found = drawn_truth(1)
    whole = pckh(truth.joints, truth)
    assert whole.mean == 100
    heads = truth.heads.copy()
    heads[0] = 0
    assert pckh(truth.joints, truth._replace(heads=heads)).mean < 100
    nobody = pckh(found, truth._replace(present=np.zeros_like(truth.present)))
    assert all(math.isnan(value) for value in nobody)
    with pytest.raises(UserError, match="one prediction for each labelled person"):
        pckh(found[1:], truth)


def test_mpii_files_there_and_back(tmp_path):
    truth, corners, found = drawn_truth(3)
    write_truth(tmp_path / "gt_valid.mat", truth, corners)
    read = mpii.truth_of_mat(tmp_path / "gt_valid.mat")
    np.testing.assert_allclose(read.joints, truth.joints, atol=1e-9)
    np.testing.assert_allclose(read.heads, truth.heads, atol=1e-9)
    assert (read.present == truth.present).all()
    write_mpii(found, tmp_path / "pred.mat")
    np.testing.assert_array_equal(loadmat(tmp_path / "pred.mat")["preds"], found + 1)
    np.testing.assert_allclose(mpii.read_mat_found(tmp_path / "pred.mat"), found, atol=1e-9)
    with pytest.raises(UserError, match=r"end in \.mat"):
        write_mpii(found, tmp_path / "pred.json")
    found[4, 2, 1] = np.nan
    with pytest.raises(UserError, match="person 4"):
        write_mpii(found, tmp_path / "pred.mat")
    assert [file.name for file in tmp_path.iterdir() if "pred" in file.name] == ["pred.mat"]


def test_results_find_their_people():
    truth, _, found = drawn_truth(5, people=6)
    image_ids = (4, 4, 9, 9, 9, 12)
    truth = truth._replace(annotation_ids=(10, 11, 12, 13, 14, 15), image_ids=image_ids)
    points = np.concatenate([found, np.ones((6, 16, 1))], axis=2).reshape(6, -1).tolist()
    results = [
        {"image_id": image_ids[row], "keypoints": points[row], "score": 1.0, "annotation_id": 10 + row}
        for row in (3, 0, 5, 1, 4, 2)
    ]
    np.testing.assert_array_equal(mpii.found_of(results, truth), found)
    in_order = [
        {k: v for k, v in r.items() if k != "annotation_id"} for r in sorted(results, key=lambda r: r["annotation_id"])
    ]
    np.testing.assert_array_equal(mpii.found_of(in_order, truth), found)
    for bad, message in (
        ([results[0]] * 2, "is there twice"),
        ([{**results[0], "annotation_id": 3}], "is not in the annotations"),
        (results[:4], "4 results for 6 labelled people"),
        (in_order[::-1], "do not follow"),
    ):
        with pytest.raises(UserError, match=message):
            mpii.found_of(bad, truth)
    with pytest.raises(UserError, match="does not say which picture"):
        mpii.found_of(results, truth._replace(image_ids=()))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pred": np.zeros((2, 16, 2))}, "no array 'preds'"),
        ({"preds": np.zeros((2, 17, 2))}, r"\(people, 16, 2\) is needed"),
        ({"preds": np.full((2, 16, 2), np.inf)}, "NaN or an infinity"),
    ],
)
def test_predictions_that_do_not_fit(tmp_path, arrays, message):
    savemat(tmp_path / "pred.mat", arrays)
    with pytest.raises(UserError, match=message):
        mpii.read_mat_found(tmp_path / "pred.mat")


def test_files_that_are_none(tmp_path):
    (tmp_path / "pred.mat").write_bytes(b"nothing of the kind, but long enough to be looked at" * 10)
    for read in (mpii.read_mat_found, mpii.truth_of_mat):
        with pytest.raises(UserError, match="MATLAB file"):
            read(tmp_path / "pred.mat")
        with pytest.raises(UserError, match="cannot "):
            read(tmp_path / "absent.mat")
