"""Rewriting datasets: round trips, nothing half written, and what the commands print."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from litepose_nas.data.convert import TO, convert, divide
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError
from tests.helpers import layouts


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
        "nme_joints: [tip_b, base]\n"
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
    monkeypatch.setattr(shutil, "copyfileobj", full)
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


@pytest.mark.parametrize("names", [("x.png", "x.jpg"), ("a/x.png", "images/a/x.bmp")])
def test_two_pictures_with_one_file_of_labels(tmp_path, names):
    tree = layouts.document(known_skeleton("coco").names)
    for image, name in zip(tree["images"], names, strict=True):
        image["file_name"] = name
        layouts.picture(tmp_path / "p" / name)
    layouts.put(tmp_path / "p.json", tree)
    (tmp_path / "d.yaml").write_text("train: {images: p, annotations: p.json}\n")
    source = open_source(str(tmp_path / "d.yaml"))
    with pytest.raises(UserError, match="would share one file of labels"):
        convert(source, tmp_path / "out", "yolo")
    assert not (tmp_path / "out").exists()
    (written,) = convert(source, tmp_path / "out", "coco")
    assert (written.pictures, written.people) == (2, 3)


def test_pictures_that_are_one_file_where_case_says_nothing(tmp_path, monkeypatch):
    """There the second would replace the first; here the first is there already."""
    source = open_source(str(layouts.coco(tmp_path)))
    same_file, link = tmp_path / "other.png", os.link
    same_file.write_text("the first")
    monkeypatch.setattr(os, "link", lambda _, target: link(same_file, target) or link(same_file, target))
    with pytest.raises(UserError, match="cannot be copied"):
        convert(source, tmp_path / "out", "coco")
    assert same_file.read_text() == "the first"
    assert not (tmp_path / "out").exists()


OUTSIDE = ["{}/VICTIM.sh", "../VICTIM.sh", "a/../../VICTIM.sh", "..\\VICTIM.sh", "..", "a/.."]


@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("name", [*OUTSIDE, "\\\\{}\\VICTIM.sh"])
def test_names_that_leave_the_folder_of_the_pictures(tmp_path, name, zipped):
    """What such a name leads to is neither read into the new dataset nor written over."""
    victim, images = tmp_path / "VICTIM.sh", tmp_path / "images"
    victim.write_text("precious")
    name = name.format(str(tmp_path).replace("/", "\\").lstrip("\\") if "\\" in name else tmp_path)
    tree = layouts.document(known_skeleton("coco").names)
    del tree["images"][1], tree["annotations"][2]
    tree["images"][0]["file_name"] = name
    (images / "a").mkdir(parents=True)
    if zipped:
        with zipfile.ZipFile(tmp_path / "images.zip", "w") as packed:
            packed.writestr(zipfile.ZipInfo(name), "evil")
        shutil.rmtree(images)
    elif name.startswith("\\"):
        (images / name).write_text("evil")
    layouts.put(tmp_path / "p.json", tree)
    (tmp_path / "d.yaml").write_text("train: {images: images, annotations: p.json}\n")
    source = open_source(str(tmp_path / "d.yaml"))
    for to in TO:
        with pytest.raises(UserError, match=r"image 7: the name .* leads out of the folder of the pictures"):
            convert(source, tmp_path / "out", to)
    with pytest.raises(UserError, match=r"p\.json: image 7: the name .* leads out"):
        source.read("train")
    assert victim.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ([] if zipped else ["images"])


def test_names_in_lists_of_pictures(tmp_path):
    """A list may name its pictures from the root of the disk, but none outside of the data."""
    source = layouts.yolo(tmp_path / "data")
    first = open_source(str(source)).read("train")
    names = [record.path.absolute() for record in first.records]
    (tmp_path / "data" / "train.txt").write_text("".join(f"{name}\n" for name in names))
    words = yaml.safe_load(source.read_text())
    source.write_text(yaml.safe_dump({**words, "train": "train.txt"}))
    same(first, open_source(str(source)).read("train"))
    layouts.picture(tmp_path / "images" / "x.png")
    for outside in ("../images/x.png", str(tmp_path / "images" / "x.png")):
        (tmp_path / "data" / "train.txt").write_text(outside)
        with pytest.raises(UserError, match="leads out of the folder of the pictures"):
            open_source(str(source)).read("train")


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


def test_stats(tmp_path, said):
    path = layouts.crowdpose(tmp_path)
    shutil.rmtree(tmp_path / "images")  # no picture is needed
    found = json.loads(said(f"data stats {path} --json"))["all"]
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
    printed = said(f"data stats {path}")
    assert "crowdIndex, rule 'released': easy: 1, medium: 0, hard: 1" in printed
    assert "left_shoulder" in printed


def test_stats_of_videos(tmp_path, said):
    layouts.posetrack18(tmp_path)
    found = json.loads(said(f"data stats posetrack18:{tmp_path} --split val --json"))["val"]
    assert (found["videos"], found["tracks"], found["crowds_and_regions"]) == (2, 2, 2)
    assert "error: posetrack18" in said(f"data stats posetrack18:{tmp_path} --split train", 2)


def test_commands_end_to_end(tmp_path, monkeypatch, said):
    path = layouts.coco(tmp_path)
    monkeypatch.chdir(tmp_path)
    printed = said(f"data convert {path} yolo --to yolo")
    assert "left behind" in printed
    assert "areas and masks" in printed
    said("data split yolo --fraction 0.5")
    said("data stats split")
    assert "there is something already" in said("data split yolo --fraction 0.5", 2)
    for verb in ("stats", "convert", "split"):
        assert "Example: litepose-nas data" in said(f"data {verb} --help")
    nothing_left(tmp_path)
