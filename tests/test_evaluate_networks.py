"""`evaluate NETWORK`: the dataset's own metric, the conditions beside it, and what is handed in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat

import litepose_nas as ln
from litepose_nas import weights
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.source import open_source
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.metrics.mpii import HeadTruth
from litepose_nas.pose.make_task import make_task
from litepose_nas.steps import common
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.recipe import Recipe
from tests.helpers import tiny
from tests.helpers.drawn_results import write_truth

SPACE = str(tiny.ROOT / "search_spaces" / "topdown-tiny.yaml")


@pytest.fixture
def room(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path / "people", train=2, val=4, size=64)
    return tmp_path


def network(path: Path, joints: int, layout: str) -> None:
    """Write an untrained top-down network for a dataset's joints."""
    torch.manual_seed(1)
    arch = ln.Space.load(SPACE).smallest
    made = {"supernet": {"path": "", "sha256": ""}, "recipe": Recipe(batch=2).__dict__, "data": layout, "seed": 0}
    skeleton = known_skeleton(layout)
    described = common.describe(skeleton, make_task(skeleton, Recipe().task_info))
    weights.save(ln.build(arch, joints=joints), path, Subnet(arch, joints, {**made, **described}))


def test_what_is_handed_in_for_pictures_without_people(room, said):
    source = open_source(str(room / "people"))
    tiny.network(room / "net.safetensors", source, SPACE)
    annotations = "annotations/person_keypoints_val.json"
    document = json.loads((room / "people" / annotations).read_text())
    bare = {"images": document["images"], "annotations": [], "categories": document["categories"]}
    (room / "people" / "test.json").write_text(json.dumps(bare))
    (room / "with_test.yaml").write_text(
        f"path: people\ntrain: {{images: val, annotations: {annotations}}}\n"
        f"val: {{images: val, annotations: {annotations}}}\ntest: {{images: val, annotations: test.json}}\n"
    )
    boxes = [
        {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.5}
        for a in document["annotations"]
        if not a["iscrowd"]
    ]
    (room / "boxes.json").write_text(json.dumps(boxes))
    evaluate = "evaluate net.safetensors --data with_test.yaml"
    assert "give the boxes of a detector" in said(f"{evaluate} --split test --save out.json", 2)
    assert "with --save FILE" in said(f"{evaluate} --split test --boxes boxes.json", 2)
    said(f"{evaluate} --split test --boxes boxes.json --save out.json")
    told = json.loads(said(f"{evaluate} --boxes boxes.json --save judged.json --json"))
    results = json.loads((room / "out.json").read_text())
    assert results == json.loads((room / "judged.json").read_text())
    assert all(set(result) == {"image_id", "category_id", "keypoints", "score"} for result in results)
    assert len(results) > 0
    assert (told["pictures"], told["flip"], told["scales"], told["metric"]) == (4, False, [1.0], "coco")
    assert told["boxes"].startswith(f"{len(boxes)} boxes of boxes.json")
    files = json.loads(said(f"evaluate --predictions out.json --annotations people/{annotations} --json"))
    assert [files[name] for name in ("ap", "ar", "ap50")] == [told[name] for name in ("ap", "ar", "ap50")]
    assert "a .mat file is for one person each" in said(f"{evaluate} --save out.mat", 2)


def test_the_metric_can_be_chosen(room, said):
    tiny.network(room / "net.safetensors", open_source(str(room / "people")), SPACE)
    text = said("evaluate net.safetensors --data people --metric pck --flip")
    assert "median px" in text
    assert "flip on, scale 1, true boxes" in text
    assert "did you mean 'pck'" in said("evaluate net.safetensors --data people --metric pkc", 2)
    assert "--crowd-rule is CrowdPose's" in said("evaluate net.safetensors --data people --crowd-rule paper", 2)


def test_mpii(room, said):
    """PCKh of one prediction a person; .mat and JSON files give the same figures back; test people keep their order."""
    network(room / "net.safetensors", 16, "mpii")
    rng = np.random.default_rng(0)
    pictures = sorted((room / "people" / "val").iterdir())
    joints = rng.uniform(5, 60, (7, 16, 2))
    present = rng.random((7, 16)) < 0.8
    present[3] = False  # somebody without joints is in the list as well
    corners = np.stack([np.full((7, 2), 5.0), rng.uniform(40, 80, (7, 2))], axis=1)
    truth = HeadTruth(joints, present, np.ones(7))
    records = [
        {
            "image": pictures[(3 * person) % 4].name,  # the people of a picture do not stand together
            "center": [32.0, 30.0] if person != 5 else [-300.0, -300.0],  # nobody there
            "scale": 0.3,
            "joints": np.where(present[person][:, None], joints[person] + 1, -1).tolist(),
            "joints_vis": present[person].astype(int).tolist(),
        }
        for person in range(7)
    ]
    (room / "valid.json").write_text(json.dumps(records))
    bare = [{key: record[key] for key in ("image", "center", "scale")} for record in records]
    (room / "test.json").write_text(json.dumps(bare))
    write_truth(room / "gt_valid.mat", truth, corners)
    split = "{images: people/val, annotations: valid.json, truth: gt_valid.mat}"
    (room / "mpii.yaml").write_text(
        f"format: mpii\nkeypoints: mpii\ntrain: {split}\nval: {split}\n"
        "test: {images: people/val, annotations: test.json}\n"
    )
    evaluate = "evaluate net.safetensors --data mpii.yaml"
    told = json.loads(said(f"{evaluate} --json --save found.mat"))
    assert told["metric"] == "mpii"
    assert told["people"] == 7
    assert 0 < told["pckh@0.5"]["mean"] < 100
    said(f"{evaluate} --save found.json")
    for predictions in ("found.mat", "found.json"):
        again = json.loads(said(f"evaluate --predictions {predictions} --annotations valid.json --metric mpii --json"))
        assert again["pckh@0.5"] == told["pckh@0.5"]
        assert again["pckh@0.1"] == told["pckh@0.1"]
    assert "PCKh@0.5" in said(evaluate)
    said(f"{evaluate} --split test --save test.mat")
    handed_in, judged = (loadmat(room / name)["preds"] for name in ("test.mat", "found.mat"))
    np.testing.assert_allclose(handed_in, judged)
    assert handed_in.shape == (7, 16, 2)
    assert (handed_in[5] == 1).all()  # 0, 0 counted from 1
    assert [place for place in range(7) if (handed_in[place] == handed_in[0]).all()] == [0, 4]  # one picture, one box
    assert [place for place in range(7) if (handed_in[place] == handed_in[2]).all()] == [2, 6]
