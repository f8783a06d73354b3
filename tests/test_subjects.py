"""Subjects that are no people: categories with the same joints are one kind, and nothing printed says people."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from litepose_nas.data.convert import convert
from litepose_nas.data.source import open_source
from litepose_nas.data.statistics import categories
from litepose_nas.errors import AssumedWarning, UserError
from tests.helpers import layouts

JOINTS = ("left_eye", "right_eye", "nose", "left_paw", "right_paw", "tailbase")
SIGMAS = [0.03, 0.03, 0.03, 0.06, 0.06, 0.1]


def animals(folder: Path, pictures: int = 2, **more) -> Path:
    """Write pictures of dogs and cats, who have the same joints, and a YAML; return its path."""
    tree = layouts.document(JOINTS)
    first = tree["annotations"]
    numbers = range(100, 100 + pictures)
    tree["images"] = [{**tree["images"][0], "id": n, "file_name": f"{n}.png"} for n in numbers]
    tree["annotations"] = [
        {**one, "id": 3 * n + place, "image_id": n, "category_id": (4, 2, 2)[place]}
        for n in numbers
        for place, one in enumerate(first)
    ]
    tree["categories"] = [{**tree["categories"][0], "id": n, "name": name} for n, name in ((2, "cat"), (4, "dog"))]
    for n in numbers:
        layouts.picture(folder / "images" / f"{n}.png", n)
    layouts.put(folder / "animals.json", tree)
    split = {"images": "images", "annotations": "animals.json"}
    (folder / "data.yaml").write_text(yaml.safe_dump({"train": split, "test": split, **more}))
    return folder / "data.yaml"


def changed(folder: Path, change) -> Path:
    path = animals(folder, sigmas=SIGMAS)
    tree = json.loads((folder / "animals.json").read_text())
    change(tree)
    layouts.put(folder / "animals.json", tree)
    return path


def test_categories_with_the_same_joints_are_one_kind(tmp_path):
    source = open_source(str(animals(tmp_path, sigmas=SIGMAS)))
    data = source.read("train")
    assert (data.category, data.skeleton.names, data.skeleton.sigmas) == ("subject", JOINTS, tuple(SIGMAS))
    assert [len(record.joints) for record in data.records] == [3, 3]
    assert categories(source.document("train")) == {"dog": 2, "cat": 4}


def test_what_they_are_survives_conversion(tmp_path):
    source = open_source(str(animals(tmp_path, sigmas=SIGMAS)))
    convert(source, tmp_path / "coco", "coco")
    again = open_source(str(tmp_path / "coco" / "data.yaml"))
    assert categories(again.document("train")) == {"dog": 2, "cat": 4}
    assert again.read("train").category == "subject"
    for one, other in zip(source.read("train").records, again.read("train").records, strict=True):
        np.testing.assert_array_equal(one.joints, other.joints)


def test_yolo_pose_has_no_place_for_what_they_are(tmp_path):
    source = open_source(str(animals(tmp_path, sigmas=SIGMAS)))
    written = convert(source, tmp_path / "yolo", "yolo")
    assert [part.left["categories"] for part in written] == [6, 6]
    assert open_source(str(tmp_path / "yolo")).read("train").category == "subject"


def test_one_of_them_called_person_is_the_one(tmp_path):
    source = open_source(str(changed(tmp_path, lambda tree: tree["categories"][1].update(name="person"))))
    assert [len(record.joints) for record in source.read("train").records] == [1, 1]
    assert source.read("train").category == "person"


def test_categories_with_other_joints_are_refused(tmp_path):
    path = changed(tmp_path, lambda tree: tree["categories"][1].update(keypoints=[*JOINTS[:-1], "tail"]))
    with pytest.raises(UserError, match="2 categories with keypoints; one is needed, or all with the same keypoints"):
        open_source(str(path)).read("train")


def test_classes_of_a_yolo_folder_are_one_kind(tmp_path):
    path = layouts.yolo(tmp_path)
    path.write_text(path.read_text().replace("[person]", "[dog, cat]"))
    labels = tmp_path / "labels" / "train" / "a.txt"
    labels.write_text(labels.read_text().replace("\n0", "\n1"))
    source = open_source(str(path))
    assert categories(source.document("train")) == {"dog": 1, "cat": 1}
    assert source.read("train").category == "subject"


@pytest.mark.parametrize("words", [{"sigmas": SIGMAS}, {"sigmas": 0.05, "flip_pairs": [["nose", "tailbase"]]}])
def test_a_yaml_may_add_to_the_joints_of_its_json(tmp_path, words):
    skeleton = open_source(str(animals(tmp_path, **words))).read("train").skeleton
    assert skeleton.names == JOINTS
    assert skeleton.sigmas == tuple(SIGMAS if words["sigmas"] == SIGMAS else [0.05] * 6)
    assert skeleton.flip_pairs == (((2, 5),) if "flip_pairs" in words else ((0, 1), (3, 4)))


def test_a_yaml_that_adds_to_joints_without_names_is_refused(tmp_path):
    animals(tmp_path, sigmas=SIGMAS)
    tree = json.loads((tmp_path / "animals.json").read_text())
    for category in tree["categories"]:
        del category["keypoints"]
    layouts.put(tmp_path / "animals.json", tree)
    with pytest.raises(UserError, match="`sigmas` without `keypoints`; list the names"):
        open_source(str(tmp_path / "data.yaml"))


def test_the_metric_names_joints_that_a_file_does_not(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    path = layouts.coco(tmp_path)
    tree = json.loads(path.read_text())
    results = [
        {"image_id": one["image_id"], "category_id": 1, "keypoints": one["keypoints"], "score": 1.0}
        for one in tree["annotations"]
    ]
    layouts.put(tmp_path / "results.json", results)
    whole = said(f"evaluate --predictions results.json --annotations {path} --metric coco")
    for nameless in (
        [{"id": 1, "name": "person"}],
        [{"id": 1, "name": "person", "supercategory": "person"}, {"id": 3}],
    ):
        layouts.put(path, {**tree, "categories": nameless})
        assert said(f"evaluate --predictions results.json --annotations {path} --metric coco") == whole
    layouts.put(path, {**tree, "categories": []})
    errors = said(f"evaluate --predictions results.json --annotations {path} --metric pck", 2)
    assert "0 categories with keypoints" in errors


@pytest.mark.parametrize("data", ["made", "real"])
def test_nothing_printed_says_what_they_are_not(tmp_path, monkeypatch, command, data):
    """From counting to predicting; what is assumed of joints without a sigma is a note, without a line of source."""
    if data == "real" and "POSE_REAL_DATA" not in os.environ:
        pytest.skip("POSE_REAL_DATA is not set")
    monkeypatch.chdir(tmp_path)
    path = Path(os.environ["POSE_REAL_DATA"]) / "animalpose/data.yaml" if data == "real" else animals(tmp_path, 12)
    truth = path.with_name("animals.json" if data == "made" else "test.json")
    picture = next((tmp_path / "images").iterdir()) if data == "made" else path.with_name("test.zip")
    stories = [
        f"data stats {path}",
        f"data check {path} --no-images",
        f"train-supernet --space topdown-tiny --data {path} --steps 2 --name own batch=2",
        "search --budget 20MMAC --evals 1",
        "extract subnet.json",
        "finetune subnet.safetensors --steps 1 batch=2",
        "evaluate subnet-finetuned.safetensors --split test --save results.json",
        f"evaluate --predictions results.json --annotations {truth} --metric pck",
        *([f"predict subnet-finetuned.safetensors {picture}"] if data == "made" else []),
    ]
    printed = {}
    for words in stories:
        code, out, errors = command(words)
        assert code == 0, errors
        printed[words.split()[0]] = out + errors
        assert "people" not in (out + errors).lower()
        assert "Warning" not in out + errors
        assert ".py" not in out + errors
    assert "note: no standard sigma for " in printed["train-supernet"]
    assert "subjects in 1 pictures" in printed.get("predict", "subjects in 1 pictures")


def test_in_python_it_is_a_warning(tmp_path):
    with pytest.warns(AssumedWarning, match="no standard sigma for left_paw, right_paw, tailbase"):
        open_source(str(animals(tmp_path))).read("train")
