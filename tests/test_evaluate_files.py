"""`evaluate --predictions`: figures from files of every layout, what stands beside them, plain words for mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from litepose_nas.data.layouts.crowdpose import SPLIT_RULES
from litepose_nas.data.skeleton import sigmas_of
from litepose_nas.errors import UserError
from litepose_nas.metrics import mpii
from litepose_nas.metrics.coco import coco_ap, truth_of
from litepose_nas.metrics.crowdpose import crowd_truth, crowdpose_ap
from litepose_nas.metrics.mpii import pckh
from litepose_nas.metrics.posetrack import frames_of, posetrack_ap
from litepose_nas.metrics.results import write_coco
from tests.helpers.coco_file import truth_at
from tests.helpers.drawn_results import JOINTS, drawn_crowd, drawn_pair, drawn_truth, drawn_video, write_truth

REAL = os.environ.get("POSE_REAL_DATA")


def write(path: Path, value: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))
    return path


@pytest.fixture
def evaluate(said):
    def call(predictions: Path, annotations: Path, options: str, code: int = 0) -> str:
        return said(f"evaluate --predictions '{predictions}' --annotations '{annotations}' {options}", code)

    return call


def test_coco(tmp_path, evaluate):
    document, results = drawn_pair(8, images=6)
    del document["annotations"][0]["area"]
    truth, guess = write(tmp_path / "val.json", document), write(tmp_path / "guess.json", results)
    scores = coco_ap(truth_at(truth), results)
    said = json.loads(evaluate(guess, truth, "--metric coco --json --made-with 'flip, three scales'"))
    assert {name: said[name] for name in scores._fields} == scores._asdict()
    assert said["pictures"] == 6
    assert said["said"] == "flip, three scales"
    assert said["flip"] is None
    assert any("1 areas were missing or zero: 0.53" in note for note in said["notes"])
    lines = evaluate(guess, truth, "").splitlines()
    assert lines[0] == f" Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets= 20 ] = {scores.ap:0.3f}"
    assert lines[10] == f"6 pictures, {said['people']} people; flip not said, scale not said, boxes not said"


def test_nobody_of_a_size_is_said(tmp_path, evaluate):
    document, results = drawn_pair(8, images=6)
    for annotation in document["annotations"]:
        annotation["area"] = 20000.0
    truth, guess = write(tmp_path / "val.json", document), write(tmp_path / "guess.json", results)
    assert "-1: no medium people to find" in evaluate(guess, truth, "")
    document["annotations"] = []
    write(truth, document)
    assert "no person with labelled joints" in evaluate(guess, truth, "", code=2)


def test_joints_without_standard_sigmas_are_named(tmp_path, evaluate):
    document, results = drawn_pair(8, images=4, joints=3, names=["nose", "tip", "base"])
    truth, guess = write(tmp_path / "val.json", document), write(tmp_path / "guess.json", results)
    assert "no standard sigma for tip, base: 0.05 is used" in evaluate(guess, truth, "")
    yaml = tmp_path / "arm.yaml"
    yaml.write_text(
        "keypoints: [nose, tip, base]\nsigmas: 0.2\ntrain: {images: ., annotations: val.json}\n"
        "val: {images: ., annotations: val.json}\n"
    )
    said = json.loads(evaluate(guess, yaml, "--json"))
    assert not any("sigma" in note for note in said["notes"])
    assert said["ap"] == coco_ap(truth_of(document, truth, [0.2] * 3), results).ap
    assert said["ap"] > coco_ap(truth_of(document, truth, [0.05] * 3), results).ap


@pytest.mark.parametrize("rule", SPLIT_RULES)
def test_crowdpose(tmp_path, evaluate, rule):
    document, results = drawn_crowd(9)
    truth, guess = write(tmp_path / "crowd.json", document), write(tmp_path / "guess.json", results)
    scores = crowdpose_ap(crowd_truth(document, truth, rule), results)
    said = json.loads(evaluate(guess, truth, f"--metric crowdpose --crowd-rule {rule} --json"))
    assert {name: said[name] for name in scores._fields} == scores._asdict()
    assert said["split_limits"] == list(SPLIT_RULES[rule])
    assert f"split rule '{rule}'" in evaluate(guess, truth, f"--metric crowdpose --crowd-rule {rule}")
    assert "did you mean 'paper'" in evaluate(guess, truth, "--metric crowdpose --crowd-rule papr", code=2)
    assert "--crowd-rule is CrowdPose's" in evaluate(guess, truth, "--metric coco --crowd-rule paper", code=2)


def test_mpii_in_every_layout(tmp_path, evaluate):
    truth, corners, found = drawn_truth(4, people=12)
    write_truth(tmp_path / "gt_valid.mat", truth, corners)
    row = pckh(found, truth)
    records = [
        {
            "image": f"{person // 2:03}.jpg",
            "center": [100.0, 100.0],
            "scale": 1.0,
            "joints": np.where(truth.present[person][:, None], truth.joints[person] + 1, -1).tolist(),
            "joints_vis": truth.present[person].astype(int).tolist(),
        }
        for person in range(12)
    ]
    layout = write(tmp_path / "valid.json", records)  # finds gt_valid.mat beside itself
    points = np.concatenate([found, np.ones((12, 16, 1))], axis=2).reshape(12, -1).tolist()
    results = [{"image_id": person // 2, "keypoints": points[person], "score": 1.0} for person in range(12)]
    savemat(tmp_path / "pred.mat", {"preds": found + 1})
    array, listed = write(tmp_path / "array.json", found.tolist()), write(tmp_path / "list.json", results)
    for guess in (tmp_path / "pred.mat", array, listed):
        for labels in (tmp_path / "gt_valid.mat", layout):
            if (guess, labels) == (listed, tmp_path / "gt_valid.mat"):
                continue
            said = json.loads(evaluate(guess, labels, "--metric mpii --json"))
            expected = {key: None if value != value else pytest.approx(value) for key, value in row._asdict().items()}
            assert said["pckh@0.5"] == expected
            assert said["pckh@0.1"]["mean"] == pytest.approx(pckh(found, truth, 0.1).mean)
            assert said["people"] == 12
    text = evaluate(array, layout, "--metric mpii").splitlines()
    assert text[0].split() == [name.capitalize() for name in mpii.Pckh._fields]
    assert text[1].split()[-1] == f"{row.mean:.1f}"
    assert text[3].startswith("6 pictures, 12 people; flip not said")
    assert "does not say which picture" in evaluate(listed, tmp_path / "gt_valid.mat", "--metric mpii", code=2)
    (tmp_path / "gt_valid.mat").unlink()
    assert "beside the JSON" in evaluate(array, layout, "--metric mpii", code=2)


def test_posetrack_as_folders_and_as_a_list(tmp_path, evaluate):
    document, results = drawn_video(6)
    scores = posetrack_ap(frames_of(document, Path("v"), results))
    for image in document["images"]:  # back to how PoseTrack18 writes them
        flat = [np.reshape(region, (-1, 2)) for region in image.pop("ignore_regions")]
        image["ignore_regions_x"] = [region[:, 0].tolist() for region in flat]
        image["ignore_regions_y"] = [region[:, 1].tolist() for region in flat]
    for person in document["annotations"]:
        person["bbox_head"] = person.pop("head_box")
    halves = (document["images"][:4], document["images"][4:])
    for number, images in enumerate(halves):
        ids = {image["id"] for image in images}
        mine = [a for a in document["annotations"] if a["image_id"] in ids]
        write(tmp_path / "truth" / f"{number}.json", {**document, "images": images, "annotations": mine})
        theirs = [r for r in results if r["image_id"] in ids]
        write(tmp_path / "guess" / f"{number}.json", {"images": images, "annotations": theirs, "categories": []})
    merged, listed = write(tmp_path / "val.json", document), write(tmp_path / "results.json", results)
    for guess in (tmp_path / "guess", listed):
        for truth in (tmp_path / "truth", merged):
            said = json.loads(evaluate(guess, truth, "--metric posetrack --json"))
            assert said["total"] == pytest.approx(scores.total)
            assert said["joints"] == pytest.approx(scores.joints)
    text = evaluate(listed, merged, "--metric posetrack")
    assert text.splitlines()[1].split()[-1] == f"{scores.total:.1f}"
    (tmp_path / "none").mkdir()
    assert "holds no JSON file" in evaluate(tmp_path / "none", merged, "--metric posetrack", code=2)


def test_pck(tmp_path, evaluate):
    document, results = drawn_pair(8, images=6)
    truth, guess = write(tmp_path / "val.json", document), write(tmp_path / "guess.json", results)
    said = json.loads(evaluate(guess, truth, "--metric pck --json"))
    assert set(said["joints"]) == set(JOINTS)
    assert 0 < said["pck@0.05 of box"] <= said["pck@0.2 of box"] <= 1
    assert said["joints"]["left_hip"]["median_px"] >= 0
    table = evaluate(guess, truth, "--metric pck").splitlines()
    assert table[18].split()[0] == "all"
    assert "people were found" in "\n".join(table)


def test_mistakes_have_plain_words(tmp_path, evaluate):
    document, results = drawn_pair(8, images=3)
    truth, guess = write(tmp_path / "val.json", document), write(tmp_path / "guess.json", results)
    assert "did you mean 'crowdpose'" in evaluate(guess, truth, "--metric crowdpos", code=2)
    assert "predictions are a list" in evaluate(truth, truth, "", code=2)
    assert "leave out the target" in evaluate(guess, truth, "--flip", code=2)
    assert "cannot read the predictions" in evaluate(tmp_path / "absent.json", truth, "", code=2)
    (tmp_path / "cut.json").write_text('[{"image_id": 1')
    assert "not whole JSON" in evaluate(tmp_path / "cut.json", truth, "", code=2)
    assert "holds no list of results" in evaluate(write(tmp_path / "odd.json", [1, 2]), truth, "", code=2)
    assert "no such dataset" in evaluate(guess, tmp_path / "nothing.json", "", code=2)


def test_predictions_alone_are_not_enough(tmp_path, said):
    assert "--annotations is missing" in said(f"evaluate --predictions {tmp_path / 'a.json'}", 2)


def test_a_submission_has_four_fields_and_no_nan(tmp_path):
    document, results = drawn_pair(8, images=3)
    extra = [{**result, "bbox": [0, 0, 1, 1], "note": "x"} for result in results]
    write_coco(extra, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == results
    extra[1]["score"] = float("nan")
    with pytest.raises(UserError, match="nothing was written"):
        write_coco(extra, tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()
    assert coco_ap(truth_of(document, tmp_path, sigmas_of(JOINTS)), results).ap >= 0


def test_no_torch_is_needed(tmp_path):
    document, results = drawn_pair(8, images=3)
    truth, guess = write(tmp_path / "val.json", document), write(tmp_path / "guess.json", results)
    code = (
        "import sys; from litepose_nas.cli import app; "
        f"app(['evaluate', '--predictions', {str(guess)!r}, '--annotations', {str(truth)!r}], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.skipif(not REAL, reason="POSE_REAL_DATA is not set")
def test_real_posetrack_truth_is_its_own_best_prediction(evaluate):
    folder = Path(REAL or "") / "samples" / "posetrack18" / "annotations"
    said = json.loads(evaluate(folder / "val", folder / "val", "--metric posetrack --json"))
    assert said["total"] == pytest.approx(100)
    assert said["people"] >= 10
