"""Drawn people in MPII's joints and layout, and every step on them to PCKh, in a tiny space of LEViTPose's family."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.layouts.toy import toy_settings, toy_split
from litepose_nas.data.source import Source, open_source
from litepose_nas.errors import UserError
from litepose_nas.metrics import mpii
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.synthetic.figure import JOINTS
from litepose_nas.synthetic.mpii import mpii_joints
from litepose_nas.synthetic.picture_dataset import picture_rng
from litepose_nas.synthetic.scene import SETTINGS, draw_picture

SPACE = {
    "family": "levitpose",
    "resolution": ["48x48", "64x64"],
    "embedding": ["conv5", "light"],
    "stages": [
        {"depth": 1, "width": [8, 16], "attention": "pool4", "heads": ["3-3"], "key": 4, "expand": 1},
        {"depth": 1, "width": [16, 24], "attention": ["pool4", "window4"], "heads": ["3-3"], "key": 4, "expand": 1}
        | {"down": "depthwise"},
        {
            "depth": [1, 2],
            "width": 24,
            "attention": "window4",
            "heads": ["3-3"],
            "key": 4,
            "expand": 1,
            "down": "merge",
        },
    ],
    "head": [{"form": ["plain", "light"], "width": 16, "kernel": 4, "groups": [4, 2]}] * 2,
}


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Source:
    folder = tmp_path_factory.mktemp("mpii") / "people"
    made = write_toy(folder, train=12, val=5, size=96, skeleton="mpii")
    assert made.crowds == (0, 0)
    assert 0 < made.hidden[0] < 0.5
    return open_source(str(folder))


def test_the_pictures_are_those_of_coco_people(people, tmp_path):
    write_toy(tmp_path / "coco", train=2, val=2, size=96)
    _, pictures = toy_split(tmp_path / "coco", "val")
    for file in pictures.iterdir():
        assert file.read_bytes() == (people.split("val").images / file.name).read_bytes()
    assert toy_settings(people.split("val").images.parent)["skeleton"] == "mpii"


def test_joints_that_both_have_are_in_the_same_places(people):
    """Read back from MPII's layout, whose pixels are counted from one."""
    skeleton, picture = known_skeleton("mpii"), draw_picture(picture_rng(0, "val", 0), 96, SETTINGS["standard"])
    (record, *_) = people.read("val").records
    assert people.read("val").skeleton.names == skeleton.names
    assert len(record.joints) == len(picture.people)
    for read, person in zip(record.joints, picture.people, strict=True):
        for number, name in enumerate(skeleton.names):
            if name in JOINTS and (flag := person.joints[JOINTS.index(name), 2]):
                assert read[number, :2] == pytest.approx(person.joints[JOINTS.index(name), :2], abs=0.02)
                assert (read[number, 2] > 0) == (flag > 0)
        hips, pelvis = person.joints[11:13], read[skeleton.names.index("pelvis")]
        assert (pelvis[2] > 0) == hips[:, 2].all()
        if pelvis[2]:
            assert pelvis[:2] == pytest.approx(hips[:, :2].mean(axis=0), abs=0.02)


def test_boxes_stand_around_their_people(people):
    """A square of the person's longer side about the middle of what is seen; hidden joints may lie outside."""
    inside = []
    for record in people.read("train").records:
        for box, joints in zip(record.boxes, record.joints, strict=True):
            points = joints[joints[:, 2] > 0, :2]
            inside += ((points > box[:2] - 2) & (points < box[:2] + box[2:] + 2)).all(axis=1).tolist()
            assert box[2] == box[3]
    assert np.mean(inside) > 0.9


def test_heads_are_as_large_as_drawn(people):
    """The box of MPII's .mat holds the head: its top is the top of the head, give or take how the head is tilted."""
    truth = mpii.truth_of_mat(people.split("val").truth)
    neck, crown = (mpii.JOINTS.index(name) for name in ("neck", "head"))
    both = truth.present[:, neck] & truth.present[:, crown]
    length = np.linalg.norm(truth.joints[both, crown] - truth.joints[both, neck], axis=1)
    sizes = truth.heads[both] / 0.6 / 2**0.5  # sides of the boxes
    assert (length <= 1.2 * sizes).all()
    assert np.median(length / sizes) > 0.7


def test_who_knows_the_truth_has_all_joints_right(people):
    truth = mpii.truth_of_mat(people.split("val").truth)
    labelled = people.document("val")["annotations"]
    found = np.array([np.reshape(raw["keypoints"], (-1, 3))[:, :2] for raw in labelled])
    assert mpii.pckh(found, truth) == pytest.approx((100.0,) * 8)
    off = mpii.pckh(found + 0.4 * truth.heads[:, None, None], truth)  # 0.57 of a head away
    assert off.mean == 0


def test_what_is_not_labelled_is_written_so(people):
    records = json.loads((people.split("train").annotations).read_text())
    flags = np.array([record["joints_vis"] for record in records])
    joints = np.array([record["joints"] for record in records])
    assert set(np.unique(flags)) == {0, 1}
    assert (joints[flags == 0] == -1).all()
    assert (joints[flags == 1] > 0).all()
    person = draw_picture(picture_rng(0, "val", 1), 96, SETTINGS["standard"]).people[0]
    assert mpii_joints(person).shape == (16, 3)


def test_only_people_have_skeletons(tmp_path):
    with pytest.raises(UserError, match=r"did you mean .mpii"):
        write_toy(tmp_path / "a", 1, 1, 64, skeleton="mpi")
    for subject in ("arm", "video"):
        with pytest.raises(UserError, match=f"leave it out for {subject}"):
            write_toy(tmp_path / "a", 1, 1, 64, subject=subject, skeleton="mpii")
    assert not (tmp_path / "a").exists()


def test_every_step_from_a_space_of_levitpose_to_pckh(tmp_path, monkeypatch, said):
    """The commands on a few drawn people; the figures are those of networks that have learned nothing."""
    monkeypatch.chdir(tmp_path)
    Path("levit.yaml").write_text(yaml.safe_dump(SPACE))

    said("data toy people --skeleton mpii --train 10 --val 3 --size 64")
    said("train-supernet --space levit.yaml --data people --steps 3 batch=2")
    said("search --budget 30MMAC --evals 2")
    said("extract subnet.json")
    said("finetune subnet.safetensors --steps 2")
    printed = said("evaluate subnet-finetuned.safetensors --flip")
    assert "PCKh@0.5" in printed
    assert all(part in printed for part in ("Head", "Shoulder", "Ankle", "Mean"))
    told = json.loads(said("evaluate subnet-finetuned.safetensors --json"))
    assert told["people"] == sum(len(record.joints) for record in open_source("people").read("val").records)
    subnet = json.loads(Path("subnet.json").read_text())
    assert (subnet["joints"], subnet["space_tree"]["family"]) == (16, "levitpose")
    # The same people with COCO's joints, from the weights that learned MPII's: all comes along but the last layer.
    said("data toy others --train 10 --val 3 --size 64")
    said(
        "train-supernet --space levit.yaml --data others --init subnet-finetuned.safetensors --steps 2 batch=2 --out b"
    )
    assert (tmp_path / "b/weights/last.safetensors").is_file()
