"""Rewriting datasets: round trips, nothing half written, and what the commands print."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import layouts
import numpy as np
import pytest
import yaml
from commands import run

from litepose_nas.data.convert import TO, convert, divide
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError


def same(a: Dataset, b: Dataset, tolerance: float = 1e-5) -> None:
    assert a.skeleton == b.skeleton
    assert len(a.records) == len(b.records)
    for one, other in zip(a.records, b.records, strict=True):
        assert (one.image_id, one.width, one.height) == (other.image_id, other.width, other.height)
        np.testing.assert_allclose(other.joints, one.joints, atol=tolerance)
        np.testing.assert_allclose(other.boxes, one.boxes, atol=tolerance)
        assert one.path.read_bytes() == other.path.read_bytes()


def nothing_left(folder: Path) -> None:
    assert not [path for path in folder.rglob("*") if ".partial-" in path.name]


def test_coco_to_yolo_and_back(tmp_path):
    source = open_source(str(layouts.coco(tmp_path)))
    (written,) = convert(source, tmp_path / "yolo", "yolo")
    assert (written.split, written.pictures, written.people) == ("train", 2, 3)
    first = open_source(str(tmp_path / "yolo"))
    same(source.read("train"), first.read("train"))
    assert (tmp_path / "yolo/images/train/000007.png").stat().st_ino == (tmp_path / "images/000007.png").stat().st_ino
    convert(first, tmp_path / "coco", "coco", "copy")
    second = open_source(str(tmp_path / "coco" / "data.yaml"))
    same(source.read("train"), second.read("train"))
    copied = tmp_path / "coco/images/train/000007.png"
    assert copied.stat().st_ino != (tmp_path / "images/000007.png").stat().st_ino
    words = yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text())
    assert words["kpt_shape"] == [17, 3]
    assert words["flip_idx"] == list(known_skeleton("coco").mirror)
    nothing_left(tmp_path)


def test_what_yolo_pose_has_no_place_for(tmp_path):
    path = layouts.coco(tmp_path)
    tree = json.loads(path.read_text())
    tree["annotations"][0]["iscrowd"] = 1
    tree["annotations"][1].update(bbox=[-5, 4, 100, 20])
    tree["annotations"][1]["keypoints"][3:6] = [41, 3, 2]
    layouts.put(path, tree)
    (written,) = convert(open_source(str(path)), tmp_path / "yolo", "yolo")
    assert written.left == {"crowds": 1, "joints outside their picture": 1, "areas and masks": 2}
    numbers = [float(word) for word in (tmp_path / "yolo/labels/train/000007.txt").read_text().split()]
    assert numbers[1:5] == pytest.approx([0.5, 14 / 30, 1, 20 / 30])  # the box ends where the picture does
    assert numbers[8:11] == [0, 0, 0]
    assert all(0 <= number <= 1 for number in [*numbers[1:7], *numbers[8:10]])


def test_mpii_to_coco(tmp_path):
    layouts.mpii(tmp_path)
    layouts.mpii_truth(tmp_path)
    source = open_source(f"mpii:{tmp_path}")
    convert(source, tmp_path / "coco", "coco")
    data = open_source(str(tmp_path / "coco" / "data.yaml")).read("val")
    same(source.read("val"), data, 0)
    np.testing.assert_array_equal(data.records[0].head_sizes, source.read("val").records[0].head_sizes)


def test_posetrack18_to_coco(tmp_path):
    layouts.posetrack18(tmp_path)
    source = open_source(f"posetrack18:{tmp_path}")
    (written,) = convert(source, tmp_path / "coco", "coco")
    assert (written.pictures, written.people) == (4, 4)  # frames that nobody labelled stay behind
    data = open_source(str(tmp_path / "coco" / "data.yaml")).read("val")
    same(source.read("val"), data, 0)
    for one, other in zip(source.read("val").records, data.records, strict=True):
        assert (one.video, one.frame, one.ignored) == (other.video, other.frame, other.ignored)
        assert one.track_ids.tolist() == other.track_ids.tolist()
    convert(source, tmp_path / "yolo", "yolo")
    assert (tmp_path / "yolo/labels/val/000001_mpii_test/000000.txt").is_file()
    assert len(open_source(str(tmp_path / "yolo")).read("val").records) == 4


def test_own_joints_keep_what_their_yaml_says(tmp_path):
    layouts.pictures(tmp_path / "images")
    layouts.put(tmp_path / "people.json", layouts.document(("base", "tip_a", "tip_b")))
    text = (
        "val: {images: images, annotations: people.json}\nkeypoints: [base, tip_a, tip_b]\n"
        "flip_pairs: [[tip_a, tip_b]]\nskeleton: [[base, tip_a], [base, tip_b]]\nsigmas: [0.1, 0.2, 0.2]\n"
    )
    (tmp_path / "arm.yaml").write_text(text)
    source = open_source(str(tmp_path / "arm.yaml"))
    for to in TO:
        convert(source, tmp_path / to, to)
        same(source.read("val"), open_source(str(tmp_path / to / "data.yaml")).read("val"))


def test_pictures_may_stay_where_they_are(tmp_path):
    source = open_source(str(layouts.coco(tmp_path)))
    convert(source, tmp_path / "coco", "coco", "none")
    assert not (tmp_path / "coco" / "images").exists()
    same(source.read("train"), open_source(str(tmp_path / "coco" / "data.yaml")).read("train"), 0)
    for to, images, words in (
        ("yolo", "none", "choose link or copy"),
        ("voc", "link", "nothing is written in that layout"),
        ("coco", "lnik", "did you mean 'link'"),
    ):
        with pytest.raises(UserError, match=words):
            convert(source, tmp_path / "other", to, images)
    assert not (tmp_path / "other").exists()


def test_a_disk_that_cannot_link_gets_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    source = open_source(str(layouts.coco(tmp_path)))
    convert(source, tmp_path / "yolo", "yolo")
    same(source.read("train"), open_source(str(tmp_path / "yolo")).read("train"))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written(tmp_path, monkeypatch, error):
    source = open_source(str(layouts.coco(tmp_path)))

    def full(*_):
        raise error

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises((UserError, KeyboardInterrupt)):
        convert(source, tmp_path / "out" / "yolo", "yolo")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_there_stays(tmp_path):
    source = open_source(str(layouts.coco(tmp_path)))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for target in (tmp_path / "mine", tmp_path / "mine" / "letter.txt"):
        with pytest.raises(UserError, match="there is something already"):
            convert(source, target, "coco")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    (tmp_path / "empty").mkdir()
    convert(source, tmp_path / "empty", "coco")
    assert (tmp_path / "empty" / "data.yaml").is_file()


def test_two_pictures_of_one_name(tmp_path):
    tree = layouts.document(known_skeleton("coco").names)
    tree["images"][0]["file_name"], tree["images"][1]["file_name"] = "images/a.png", "a.png"
    layouts.picture(tmp_path / "a.png")
    layouts.picture(tmp_path / "images" / "a.png")
    with pytest.raises(UserError, match=r"two pictures would both be called a\.png"):
        convert(open_source(str(layouts.put(tmp_path / "p.json", tree))), tmp_path / "out", "yolo")


def test_dividing_by_image_id(tmp_path):
    tree = layouts.document(known_skeleton("coco").names)
    for number in range(20, 38):
        layouts.picture(tmp_path / f"{number}.png", number)
        tree["images"].append({"id": number, "file_name": f"{number}.png", "width": 40, "height": 30})
        tree["annotations"].append({**tree["annotations"][0], "id": number, "image_id": number})
    layouts.pictures(tmp_path)
    source = open_source(str(layouts.put(tmp_path / "all.json", tree)))
    for name in ("one", "two"):
        written = divide(source, tmp_path / name, 0.2, seed=3)
        assert [(part.split, part.pictures) for part in written] == [("train", 16), ("val", 4)]
    one, two = (open_source(str(tmp_path / name / "data.yaml")) for name in ("one", "two"))
    ids = [[record.image_id for record in one.read(name).records] for name in ("train", "val")]
    assert ids == [[record.image_id for record in two.read(name).records] for name in ("train", "val")]
    assert sorted(ids[0] + ids[1]) == [5, 7, *range(20, 38)]
    people = [sum(len(r.joints) + len(r.ignored) for r in one.read(name).records) for name in ("train", "val")]
    assert sum(people) == len(tree["annotations"])
    divide(source, tmp_path / "three", 0.2, seed=4)
    other = [record.image_id for record in open_source(str(tmp_path / "three")).read("val").records]
    assert other != ids[1]


def test_dividing_by_video_keeps_unlabelled_frames(tmp_path):
    layouts.posetrack18(tmp_path)
    divide(open_source(f"posetrack18:{tmp_path}"), tmp_path / "two", 0.5, of="val")
    for name in ("train", "val"):
        tree = json.loads((tmp_path / "two" / "annotations" / f"{name}.json").read_text())
        assert [image["is_labeled"] for image in tree["images"]] == [True, False, True]
        assert len({image["vid_id"] for image in tree["images"]}) == 1
    assert len(open_source(str(tmp_path / "two")).read("train").records) == 2


# ── commands ──


def test_stats(tmp_path, monkeypatch, capsys):
    path = layouts.crowdpose(tmp_path)
    shutil.rmtree(tmp_path / "images")  # no picture is needed
    assert run(f"litepose-nas data stats {path} --json", monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)["all"]
    assert (found["pictures"], found["people"], found["most_people"]) == (2, 3, 2)
    assert found["people_per_picture"]["1"] == found["people_per_picture"]["2"] == 1
    assert found["crowd_index"] == {
        "released": {"easy": 1, "medium": 0, "hard": 1}, "paper": {"easy": 0, "medium": 1, "hard": 1}
    }  # fmt: skip
    tree = json.loads(path.read_text())
    flags = np.array([a["keypoints"][2::3] for a in tree["annotations"]])
    assert [j["labelled"] for j in found["joints"].values()] == [round(float(v), 4) for v in (flags > 0).mean(0)]
    assert [j["hidden"] for j in found["joints"].values()] == [
        round(float(v), 4) for v in (flags == 1).sum(0) / np.maximum((flags > 0).sum(0), 1)
    ]
    assert found["areas"]["small"] == 3
    assert found["box_widths"]["50 %"] == 21
    assert found["picture_sizes"] == {"distinct": 1, "smallest": [40, 30], "largest": [40, 30]}
    assert run(f"litepose-nas data stats {path}", monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "crowdIndex, rule 'released': easy: 1, medium: 0, hard: 1" in printed
    assert "left_shoulder" in printed


def test_stats_of_videos(tmp_path, monkeypatch, capsys):
    layouts.posetrack18(tmp_path)
    assert run(f"litepose-nas data stats posetrack18:{tmp_path} --split val --json", monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)["val"]
    assert (found["videos"], found["tracks"], found["crowds_and_regions"]) == (2, 2, 2)
    assert run(f"litepose-nas data stats posetrack18:{tmp_path} --split train", monkeypatch) == 2
    assert "error: posetrack18" in capsys.readouterr().err


def test_commands_end_to_end(tmp_path, monkeypatch, capsys):
    path = layouts.coco(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(f"litepose-nas data convert {path} yolo --to yolo", monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "left behind" in printed
    assert "areas and masks" in printed
    assert run("litepose-nas data split yolo --fraction 0.5", monkeypatch) == 0
    assert run("litepose-nas data stats split", monkeypatch) == 0
    assert run("litepose-nas data split yolo --fraction 0.5", monkeypatch) == 2
    assert "there is something already" in capsys.readouterr().err
    for verb in ("stats", "convert", "split"):
        assert run(f"litepose-nas data {verb} --help", monkeypatch) == 0
        assert "Example: litepose-nas data" in capsys.readouterr().out
    nothing_left(tmp_path)
