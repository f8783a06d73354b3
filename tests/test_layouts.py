"""Every layout, from tiny files written by hand, into the same arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from litepose_nas.data.annotations import document_of
from litepose_nas.data.boxes import read_detections
from litepose_nas.data.dataset_yaml import known_names, known_skeleton
from litepose_nas.data.layouts import coco, crowdpose, mpii, posetrack18
from litepose_nas.data.layouts.building import LayoutFiles, ids_of, labelled_box
from litepose_nas.data.layouts.picture_size import picture_size
from litepose_nas.data.layouts.yolo_pose import label_file
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError
from tests.helpers import layouts
from tests.helpers.coco_file import read_coco


def test_crowdpose(tmp_path):
    path = layouts.crowdpose(tmp_path)
    data = open_source(str(path)).read("val")
    assert [record.image_id for record in data.records] == [5, 7]
    skeleton = data.skeleton
    assert skeleton.names[12:] == ("head", "neck")
    assert skeleton.sigmas[::2] == (0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.079)
    assert skeleton.sigmas[1::2] == skeleton.sigmas[::2]
    assert (12, 13) in skeleton.limbs  # not COCO's, which the file holds
    assert data.records[0].areas.tolist() == pytest.approx([22 * 20 * 0.53])
    np.testing.assert_array_equal(data.records[0].joints[0], layouts.joints(14, 2))
    document = crowdpose.read(LayoutFiles(path))
    assert [image["crowdIndex"] for image in document["images"]] == [0.15, 0.8]
    assert document["annotations"][0]["area"] == 20 * 20 * 0.53


@pytest.mark.parametrize(
    ("index", "released", "paper"),
    [(0, "easy", "easy"), (0.1, "easy", "medium"), (0.15, "easy", "medium"), (0.2, "medium", "medium"),
     (0.7999, "medium", "medium"), (0.8, "hard", "hard"), (3.02, "hard", "hard")],
)  # fmt: skip
def test_how_crowded(index, released, paper):
    assert (crowdpose.split_of(index), crowdpose.split_of(index, "paper")) == (released, paper)
    with pytest.raises(UserError, match="did you mean 'paper'"):
        crowdpose.split_of(index, "papier")


def test_mpii(tmp_path):
    path, truth = layouts.mpii(tmp_path), layouts.mpii_truth(tmp_path)
    data = open_source(f"mpii:{tmp_path}").read("val")
    assert [(record.image_id, len(record.joints)) for record in data.records] == [(5, 1), (7, 2)]
    wanted = layouts.joints(16, 2, (1, 0)).astype(float)
    wanted = np.where(wanted[:, 2:] > 0, wanted - (1, 1, 0), 0) * (1, 1, 2)  # counted from 0, and seen
    second = data.records[1]
    np.testing.assert_array_equal(second.joints[1], wanted)
    assert (second.width, second.height) == (layouts.WIDTH, layouts.HEIGHT)
    # centre (20, 15) from 1, 1.5 lower at scale 0.1; a square of 20
    np.testing.assert_allclose(second.boxes[0], [9, 5.5, 20, 20], rtol=1e-6)
    np.testing.assert_allclose(second.head_sizes, [0.6 * 5] * 2, rtol=1e-6)
    assert data.skeleton.flip_pairs == ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13))
    known = wanted[wanted[:, 2] > 0, :2]
    area = 0.53 * np.prod((known.max(0) - known.min(0)) * 1.3)
    assert second.areas[1] == pytest.approx(area)

    document = mpii.read(LayoutFiles(path, tmp_path / "images", truth))
    assert document["annotations"][2]["head_box"] == [5, 5, 3, 4]
    assert document["annotations"][0]["center"] == [19, 14]
    assert "width" not in mpii.read(LayoutFiles(path))["images"][0]  # without pictures nobody knows
    again = document_of(data)
    assert again["annotations"] == document["annotations"]


def test_mpii_truth(tmp_path):
    layouts.mpii(tmp_path)
    truth = mpii.read_truth(layouts.mpii_truth(tmp_path))
    assert list(truth.names) == layouts.MPII_NAMES
    assert truth.joints.shape == (3, 16, 2)
    records = layouts.mpii_records()
    np.testing.assert_array_equal(truth.labelled, np.array([record["joints_vis"] for record in records]) == 1)
    seen = np.array(records[1]["joints"])[truth.labelled[1]] - 1
    np.testing.assert_array_equal(truth.joints[1][truth.labelled[1]], seen)
    np.testing.assert_allclose(truth.head_sizes, 3.0)
    np.testing.assert_array_equal(truth.head_boxes[2], [5, 5, 3, 4])


def test_mpii_faults(tmp_path):
    path, truth = layouts.mpii(tmp_path), layouts.mpii_truth(tmp_path)
    records = json.loads(path.read_text())
    for change, words in (
        ({"joints": [[1, 2]]}, "record 1: 'joints' must be a list of 32 numbers"),
        ({"joints": [[float("nan"), 2]] * 16}, "record 1: 'joints' must hold finite"),
        ({"joints_vis": None}, "record 1: 'joints_vis'"),
        ({"center": [1]}, "record 1: 'center'"),
        ({"scale": "big"}, "record 1: 'scale'"),
        ({"image": 7}, "record 1 has no 'image'"),
        ({"image": "gone.png"}, r"no file .*gone\.png"),
    ):
        layouts.put(path, [records[0], {**records[1], **change}, records[2]])
        with pytest.raises(UserError, match=words):
            mpii.read(LayoutFiles(path, tmp_path / "images"))
    layouts.put(path, records[:2])
    with pytest.raises(UserError, match=r"3 people and .* 2; give the two of one split"):
        mpii.read(LayoutFiles(path, None, truth))
    layouts.put(path, {"images": []})
    with pytest.raises(UserError, match=r"no list of MPII's records"):
        mpii.read(LayoutFiles(path))
    truth.write_bytes(b"MATLAB no more")
    with pytest.raises(UserError, match="not a MATLAB file"):
        mpii.read_truth(truth)
    with pytest.raises(UserError, match="cannot be read"):
        mpii.read_truth(tmp_path / "gone.mat")


def test_mpii_test_pictures_have_no_joints(tmp_path):
    layouts.pictures(tmp_path / "images")
    layouts.put(tmp_path / "annot" / "test.json", [{"image": "000007.png", "center": [-1, -1], "scale": -1}])
    data = open_source(f"mpii:{tmp_path}").read("test")
    assert [len(record.joints) for record in data.records] == [0]


def test_ochuman(tmp_path):
    path = layouts.coco(tmp_path)
    tree = json.loads(path.read_text())
    del tree["annotations"][1]["keypoints"]  # a box alone
    tree["annotations"][0]["segmentation"] = {"counts": [0, 10, 1190], "size": [30, 40]}
    layouts.put(path, tree)
    document = coco.read_ochuman(LayoutFiles(path))
    assert len(document["annotations"]) == 3
    (tmp_path / "d.yaml").write_text("format: ochuman\nval: {images: images, annotations: people.json}\n")
    data = open_source(str(tmp_path / "d.yaml")).read("val")
    assert [(len(record.joints), len(record.ignored)) for record in data.records] == [(1, 0), (1, 1)]
    layouts.put(path, {"images": [{"annotations": []}]})
    with pytest.raises(UserError, match="OCHuman's own layout"):
        coco.read_ochuman(LayoutFiles(path))


def test_posetrack18(tmp_path):
    layouts.posetrack18(tmp_path)
    data = open_source(f"posetrack18:{tmp_path}").read("val")
    assert [(record.video, record.frame) for record in data.records] == [
        ("000001", 0), ("000001", 2), ("000002", 0), ("000002", 2)
    ]  # fmt: skip
    first = data.records[0]
    assert first.track_ids.tolist() == [1]
    np.testing.assert_allclose(first.head_sizes, [3.0])
    assert (first.width, first.height) == (layouts.WIDTH, layouts.HEIGHT)
    assert [region.segmentation for region in first.ignored] == [[[0, 0, 10, 0, 10, 5, 0, 5]]]
    assert first.ignored[0].box == (0, 0, 10, 5)
    labelled = first.joints[0, :, 2]
    assert labelled[3:5].tolist() == [0, 0]
    assert set(labelled.tolist()) == {0, 2}
    assert first.areas.tolist() == pytest.approx([400 * 0.53])
    document = posetrack18.read(LayoutFiles(tmp_path / "annotations" / "val", tmp_path))
    assert [image["is_labeled"] for image in document["images"]] == [True, False, True] * 2
    assert "bbox_head" not in document["annotations"][0]
    assert document["annotations"][0]["head_box"] == [6, 7, 3, 4]
    one = open_source(str(tmp_path / "annotations" / "val" / "000002_mpii_test.json")).read("val")
    assert len(one.records) == 2


def test_posetrack18_regions_written_loosely(tmp_path):
    folder = layouts.posetrack18(tmp_path)
    file = folder / "000001_mpii_test.json"
    tree = json.loads(file.read_text())
    tree["images"][0].update(ignore_regions_x=[0, 4, 4], ignore_regions_y=[0, 0, 4])  # one, without its list
    tree["images"][2].update(ignore_regions_x=[[1, 2]], ignore_regions_y=[[1, 2]])  # a line encloses nothing
    layouts.put(file, tree)
    found = [image["ignore_regions"] for image in posetrack18.read(LayoutFiles(file))["images"]]
    assert found == [[[0, 0, 4, 0, 4, 4]], [], []]
    for x, y, words in (
        ([[0, 4, 4]], [[0, 0]], "3 x and 2 y"),
        ([[0, 4, 4]], [], "1 regions to ignore have x and 0 have y"),
        ("everywhere", [], "lists of polygons"),
        ([[0, "4", 4]], [[0, 0, 4]], "'ignore_regions_x' must be"),
    ):
        tree["images"][0].update(ignore_regions_x=x, ignore_regions_y=y)
        layouts.put(file, tree)
        with pytest.raises(UserError, match=f"image 10000010000: .*{words}"):
            posetrack18.read(LayoutFiles(file))
    with pytest.raises(UserError, match="holds no JSON files"):
        posetrack18.read(LayoutFiles(tmp_path))


def test_yolo_pose(tmp_path):
    data = open_source(str(layouts.yolo(tmp_path))).read("train")
    assert [(r.image_id, r.path.name, len(r.joints), len(r.ignored)) for r in data.records] == [
        (1, "a.png", 1, 1), (2, "b.png", 0, 0), (3, "c.png", 0, 0)
    ]  # fmt: skip
    first = data.records[0]
    np.testing.assert_allclose(first.joints[0], [[10, 15, 2], [20, 12, 1], [0, 0, 0]])
    np.testing.assert_allclose(first.boxes[0], [15, 7.5, 10, 15])
    assert first.areas[0] == pytest.approx(150 * 0.53)
    assert data.skeleton.names == ("point_0", "point_1", "point_2")
    assert data.skeleton.mirror == (0, 2, 1)
    assert document_of(data)["images"][2]["file_name"] == "images/train/c.png"


def test_yolo_pose_of_two_numbers_a_joint_and_lists(tmp_path):
    layouts.yolo(tmp_path)
    (tmp_path / "labels" / "train" / "a.txt").write_text("1 0.5 0.5 0.25 0.5 0.25 0.5 0.5 0.4 0 0\n")
    (tmp_path / "list.txt").write_text("./images/train/c.png\n\nimages/train/a.png\n")
    (tmp_path / "data.yaml").write_text(
        "train: [list.txt]\nnames: {0: dog, 1: person}\nnc: 2\nkpt_shape: [3, 2]\nsigmas: 0.05\n"
    )
    data = open_source(str(tmp_path)).read("train")
    assert [record.path.name for record in data.records] == ["a.png", "c.png"]
    np.testing.assert_allclose(data.records[0].joints[0], [[10, 15, 2], [20, 12, 2], [0, 0, 0]])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5 0.1", "line 1 has 4 numbers, but class, box and 3 joints of 3 need 14"),
        ("0 0.5 0.5 0.1 0.1 a 0 0 0 0 0 0 0 0", "line 1: something other than numbers"),
        ("0 0.5 0.5 0.1 0.1 nan 0 0 0 0 0 0 0 0", "line 1: numbers must be shares"),
        ("0 0.5 0.5 -0.1 0.1 0 0 0 0 0 0 0 0 0", "line 1: numbers must be shares"),
        ("0 0.5 0.5 0.1 0.1 0 0 3 0 0 0 0 0 0", "line 1: flags must be"),
        ("4 0.5 0.5 0.1 0.1 0 0 0 0 0 0 0 0 0", r"line 1: class 4 is none of \[0\]"),
    ],
)
def test_yolo_pose_faults(tmp_path, line, words):
    path = layouts.yolo(tmp_path)
    (tmp_path / "labels" / "train" / "a.txt").write_text(line)
    with pytest.raises(UserError, match=rf"a\.txt, {words}"):
        open_source(str(path)).read("train")


def test_where_labels_lie(tmp_path):
    assert label_file(tmp_path / "images" / "train" / "images" / "x" / "a.jpg") == (
        tmp_path / "images" / "train" / "labels" / "x" / "a.txt"
    )
    with pytest.raises(UserError, match="no folder called images"):
        label_file(tmp_path / "pictures" / "a.jpg")


def test_detections(tmp_path):
    path = layouts.detections(tmp_path / "found.json")
    found = read_detections(path)
    assert sorted(found) == [5, 7]
    np.testing.assert_allclose(found[7][:, :4], [[3, 3, 9, 9], [1.5, 2.5, 10, 12]])
    np.testing.assert_allclose(found[7][:, 4], [0.9, 0.4])
    assert sorted(read_detections(path, min_score=0.1)) == [7]
    assert list(read_detections(path, category_id=18)) == [7]
    np.testing.assert_allclose(read_detections(path, min_score=0.5)[7][:, 4], [0.9])
    for change, words in (
        ({"bbox": [1, 2, 3]}, "detection 0 has no 'bbox'"),
        ({"bbox": [1, 2, -3, 4]}, "detection 0: 'bbox' must be finite"),
        ({"score": None}, "detection 0: 'score'"),
        ({"score": float("nan")}, "detection 0: 'score'"),
        ({"image_id": 7.5}, "detection 0 needs an 'image_id'"),
    ):
        layouts.put(path, [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1, **change}])
        with pytest.raises(UserError, match=words):
            read_detections(path)
    layouts.put(path, {})
    with pytest.raises(UserError, match="holds a dict, not a list"):
        read_detections(path)


def test_layouts_near_coco(tmp_path):
    layouts.pictures(tmp_path / "images")
    tree = layouts.document(known_skeleton("jhmdb").names)
    document = coco.read_jhmdb(LayoutFiles(layouts.put(tmp_path / "j.json", tree)))
    before, after = tree["annotations"][0], document["annotations"][0]
    assert after["bbox"] == [2, 3, 20, 20]
    assert after["keypoints"][0:6] == [0, 0, 0, before["keypoints"][3] - 1, before["keypoints"][4] - 1, 1]

    tree = layouts.document(tuple(f"joint {n}" for n in range(136)))
    tree["categories"][0]["keypoints"] = []
    document = coco.read_halpe(LayoutFiles(layouts.put(tmp_path / "h.json", tree)))
    assert document["annotations"][0]["keypoints"] == tree["annotations"][0]["keypoints"][: 3 * 26]
    assert document["categories"][0]["keypoints"][-1] == "right_heel"

    names = known_skeleton("coco").names
    tree = layouts.document(names)
    tree["categories"][0]["keypoints"] += ["left_finger", "right_finger", "left_toe", "right_toe"]
    for image in tree["images"]:
        image["file_name"] = "HumanArt/images/" + image["file_name"]
    path = layouts.put(tmp_path / "a.json", tree)
    document = coco.read_humanart(LayoutFiles(path, tmp_path / "images"))
    assert document["categories"][0]["keypoints"] == list(names)
    assert document["images"][0]["file_name"] == "000007.png"
    assert coco.read_humanart(LayoutFiles(path))["images"][0]["file_name"] == "HumanArt/images/000007.png"

    tree = layouts.document(("left_neck", "medial_left_bow", "right_neck", "medial_right_bow"))
    for annotation in tree["annotations"]:
        del annotation["bbox"]
    document = coco.read_mpii_trb(LayoutFiles(layouts.put(tmp_path / "t.json", tree)))
    points = np.array(document["annotations"][1]["keypoints"]).reshape(-1, 3)
    known = points[points[:, 2] > 0, :2]
    box = document["annotations"][1]["bbox"]
    np.testing.assert_allclose(np.add(box[:2], box[2:]) + box[:2], known.min(0) + known.max(0))
    np.testing.assert_allclose(box[2:], 1.3 * (known.max(0) - known.min(0)))


def test_names_and_sizes(tmp_path):
    assert ids_of(["b/000012.jpg", "a/7.jpg", "a/7.jpg"]) == {"a/7.jpg": 7, "b/000012.jpg": 12}
    assert ids_of(["b/7.jpg", "a/7.jpg"]) == {"a/7.jpg": 1, "b/7.jpg": 2}
    assert ids_of(["x.jpg", "7.jpg"]) == {"7.jpg": 1, "x.jpg": 2}
    assert labelled_box(np.zeros((3, 3))) == (0, 0, 0, 0)
    for suffix in (".png", ".jpg", ".bmp", ".webp"):
        file = tmp_path / f"größe{suffix}"
        layouts.picture(file, width=301, height=20)
        assert picture_size(file) == (301, 20)
    data = (tmp_path / "größe.jpg").read_bytes()
    for end in (0, 1, 2, 3, 20, 50):
        (tmp_path / "cut.jpg").write_bytes(data[:end])
        with pytest.raises(UserError, match=r"cut\.jpg"):
            picture_size(tmp_path / "cut.jpg")
    with pytest.raises(UserError, match="cannot read the picture"):
        picture_size(tmp_path / "gone.jpg")


def test_every_known_skeleton_is_whole():
    for name in known_names():
        skeleton = known_skeleton(name)
        assert len(skeleton.sigmas) == len(skeleton.names)
        sided = {place for place, joint in enumerate(skeleton.names) if {"left", "right"} & set(joint.split("_"))}
        assert {joint for pair in skeleton.flip_pairs for joint in pair} == sided
        assert {joint for limb in skeleton.limbs for joint in limb} >= set(range(len(skeleton.names))) - {3, 4}
        mirrored = {frozenset((skeleton.mirror[a], skeleton.mirror[b])) for a, b in skeleton.limbs}
        assert mirrored == {frozenset(limb) for limb in skeleton.limbs}, name
        assert all(skeleton.sigmas[a] == skeleton.sigmas[b] for a, b in skeleton.flip_pairs) or name == "aic"


def test_frames_nobody_labelled_and_regions_survive_a_coco_file(tmp_path):
    layouts.posetrack18(tmp_path)
    document = document_of(open_source(f"posetrack18:{tmp_path}").read("val"))
    path = layouts.put(tmp_path / "all.json", document)
    data = read_coco(path, tmp_path)
    assert len(data.records) == 4
    assert [len(record.ignored) for record in data.records] == [1, 0, 1, 0]
