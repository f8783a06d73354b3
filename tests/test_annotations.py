"""Reading COCO-keypoints: arrays as written, every fault named with its place."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle

from litepose_nas.data.dataset import Dataset, split
from litepose_nas.data.images import ignored_mask, load_picture
from litepose_nas.data.layouts.toy import toy_split
from litepose_nas.data.regions import run_lengths
from litepose_nas.data.skeleton import OTHER_SIGMA, make_skeleton
from litepose_nas.errors import UserError
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.coco_file import read_coco
from tests.helpers.layouts import NAMES, small_document


def with_another_category() -> dict:
    document = small_document()
    document["annotations"].append({**document["annotations"][3], "id": 74, "keypoints": [1, 2, 3], "category_id": 2})
    document["categories"].append({"id": 2, "name": "dog", "keypoints": ["tail"], "skeleton": []})
    return document


def write(folder: Path, document: dict | str | bytes) -> Path:
    images = folder / "images"
    images.mkdir(exist_ok=True)
    picture = np.zeros((16, 20, 3), np.uint8)
    picture[:, :10] = (10, 20, 30)
    for name in ("ночь.png", "day.png"):
        (images / name).write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    path = folder / "people.json"
    data = json.dumps(document) if isinstance(document, dict) else document
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(folder: Path, document: dict | str | bytes) -> Dataset:
    return read_coco(write(folder, document), folder / "images")


@pytest.fixture
def changed(tmp_path):
    def fails(change, message: str) -> None:
        document = with_another_category()
        change(document)
        with pytest.raises(UserError, match=message):
            read(tmp_path, document)

    return fails


def test_arrays_hold_what_the_file_says(tmp_path):
    data = read(tmp_path, with_another_category())
    assert [r.image_id for r in data.records] == [4, 9]
    assert data.skeleton == make_skeleton(NAMES, [(0, 1), (1, 2)])
    day, night = data.records
    assert (night.width, night.height, night.path.name) == (20, 16, "ночь.png")
    np.testing.assert_array_equal(night.joints[0], [[1.5, 2, 2], [3, 4, 1], [0, 0, 0]])
    assert night.joints.shape == (2, 3, 3)
    np.testing.assert_array_equal(night.boxes, [[2, 3, 10, 8]] * 2)
    np.testing.assert_array_equal(night.areas, [40.5, 40.5])
    assert night.annotation_ids.tolist() == [70, 71]
    assert day.joints.shape == (0, 3, 3)
    assert day.boxes.shape == (0, 4)
    assert [region.crowd for region in night.ignored + day.ignored] == [True, False]


def test_a_missing_area_follows_from_the_box(tmp_path):
    document = small_document()
    del document["annotations"][0]["area"]
    assert read(tmp_path, document).records[1].areas[0] == pytest.approx(0.53 * 80)


def test_regions_to_ignore(tmp_path):
    document = small_document()
    day, night = read(tmp_path, document).records
    column = np.zeros((16, 20), bool)
    column[:, 0] = True
    np.testing.assert_array_equal(ignored_mask(night), column)
    square = ignored_mask(day)
    assert square.dtype == bool
    assert square[5:9, 5:7].all()
    assert square.sum() == pytest.approx(24, abs=6)
    packed = rle.encode(np.asfortranarray(column.astype(np.uint8)))
    document["annotations"][2]["segmentation"] = {"counts": packed["counts"].decode(), "size": [16, 20]}
    document["annotations"][3]["segmentation"] = []
    day, night = read(tmp_path, document).records
    np.testing.assert_array_equal(ignored_mask(night), column)
    box = np.zeros((16, 20), bool)
    box[3:11, 2:12] = True
    np.testing.assert_array_equal(ignored_mask(day), box)
    document["annotations"][2]["segmentation"] = {"counts": [0, 9], "size": [3, 3]}
    with pytest.raises(UserError, match=r"image 9.*does not fit"):
        ignored_mask(read(tmp_path, document).records[1])


def test_packed_run_lengths_are_those_of_pycocotools():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.9):
        mask = np.asfortranarray((cv2.blur(rng.random((90, 70)), (9, 5)) < share).astype(np.uint8))
        counts = run_lengths(rle.encode(mask)["counts"])
        again = rle.frPyObjects({"counts": counts, "size": [90, 70]}, 90, 70)
        assert again["counts"] == rle.encode(mask)["counts"]
        assert sum(counts) == 90 * 70
        assert sum(counts[1::2]) == mask.sum()


def test_drawn_people_are_read_as_drawn(tmp_path):
    write_toy(tmp_path / "people", train=1, val=12, seed=3)
    data = read_coco(*toy_split(tmp_path / "people", "val"))
    raw = json.loads(data.annotations.read_text())
    assert len(data.records) == 12
    assert sum(len(r.joints) for r in data.records) == sum(not a["iscrowd"] for a in raw["annotations"])
    assert sum(len(r.ignored) for r in data.records) == sum(a["iscrowd"] for a in raw["annotations"])
    assert data.skeleton.flip_pairs == tuple((k, k + 1) for k in range(1, 17, 2))
    assert data.skeleton.sigmas[:2] == (0.026, 0.025)
    assert load_picture(data.records[0]).shape == (160, 160, 3)


def test_pictures_are_red_green_blue_and_names_may_be_any(tmp_path):
    record = read(tmp_path, small_document()).records[1]
    picture = load_picture(record)
    assert picture.shape == (16, 20, 3)
    assert picture[0, 0].tolist() == [30, 20, 10]
    with pytest.raises(UserError, match=r"20x16 pixels.*21x16"):
        load_picture(record._replace(width=21))


def test_split_goes_by_image_id(tmp_path):
    write_toy(tmp_path / "people", train=1, val=20)
    data = read_coco(*toy_split(tmp_path / "people", "val"))
    ids = {r.image_id for r in data.records}
    rest, part = split(data, 0.25, seed=1)
    assert len(part.records) == 5
    assert {r.image_id for r in rest.records} | {r.image_id for r in part.records} == ids
    assert not {r.image_id for r in rest.records} & {r.image_id for r in part.records}
    again = split(data._replace(records=data.records[::-1]), 0.25, seed=1)[1]
    chosen = {r.image_id for r in part.records}
    assert {r.image_id for r in again.records} == chosen
    assert {r.image_id for r in split(data, 0.25, seed=2)[1].records} != chosen
    assert len(split(data, 0.999)[0].records) == 1
    for fraction in (0, 1, -0.5, float("nan")):
        with pytest.raises(UserError, match="between 0 and 1"):
            split(data, fraction)
    with pytest.raises(UserError, match="two are needed"):
        split(data._replace(records=data.records[:1]), 0.5)


def test_a_file_that_is_no_annotation_file(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.json: No such file"):
        read_coco(tmp_path / "nothing.json", tmp_path)
    text = json.dumps(small_document(), indent=1)
    with pytest.raises(UserError, match=r"people\.json is not whole JSON: .* line \d+, column \d+"):
        read(tmp_path, text[: len(text) // 2])
    with pytest.raises(UserError, match="no UTF-8"):
        read(tmp_path, b'{"images": "\xff\xfe"}')
    with pytest.raises(UserError, match="holds a list"):
        read(tmp_path, "[]")
    with pytest.raises(UserError, match="no list 'images'"):
        read(tmp_path, "{}")


def test_faults_are_named_with_their_place(changed):
    changed(lambda d: d.update(images=[], annotations=[]), "the dataset is empty")
    changed(lambda d: d.update(annotations=[]), "no person with labelled joints")
    changed(lambda d: d.update(categories=[]), "0 categories with keypoints")
    changed(lambda d: d["annotations"][1].update(keypoints=[1, 2, 2] * 2), "annotation 71 has 6 numbers.*need 9")
    changed(lambda d: d["annotations"][1].update(keypoints="many"), "annotation 71 has no list of numbers")
    changed(lambda d: d["annotations"][1].update(keypoints=["a"] * 9), "annotation 71 .*other than numbers")
    changed(lambda d: d["annotations"][1].update(keypoints=[1, 2, 3] * 3), "annotation 71: .*flags 0, 1 or 2")
    changed(lambda d: d["annotations"][1].update(bbox=[1, 2]), "annotation 71 has no 'bbox'")
    changed(lambda d: d["annotations"][1].update(area="big"), "annotation 71: .*'area' must be a number")
    changed(lambda d: d["annotations"][1].update(image_id=5), "annotation 71 belongs to image 5")
    changed(lambda d: d["annotations"].append(7), "an annotation is 7")
    changed(lambda d: d["images"][0].update(file_name="gone.png"), r"image 9 has no file .*gone\.png")
    changed(lambda d: d["images"][0].update(file_name="far/gone.png"), r"image 9 has no file .*gone\.png")
    changed(lambda d: d["images"][0].update(id=4), "image 4 twice")
    changed(lambda d: d["images"][0].update(width="wide"), "image 9: .*whole numbers")
    changed(lambda d: d["images"][0].pop("height"), "no 'height'")
    changed(lambda d: d["categories"][0].update(skeleton=[[1, 9]]), "limb joins joints 0 and 8")
    changed(lambda d: d["categories"][0].update(skeleton=[3]), "not a list of pairs")


def test_a_given_skeleton_must_fit(tmp_path):
    path = write(tmp_path, small_document())
    own = make_skeleton(NAMES, sigmas=[0.1, 0.2, 0.2])
    assert read_coco(path, tmp_path / "images", own).skeleton.sigmas == (0.1, 0.2, 0.2)
    with pytest.raises(UserError, match="3 joints a person and the skeleton 1"):
        read_coco(path, tmp_path / "images", make_skeleton(["nose"]))


def test_skeletons_follow_names():
    body = make_skeleton(["Left_Hip", "nose", "right_hip"], [(0, 2)])
    assert body.mirror == (2, 1, 0)
    assert body.flip_pairs == ((0, 2),)
    assert body.sigmas == (0.107, 0.026, 0.107)
    with pytest.warns(UserWarning, match="no standard sigma for tail"):
        assert make_skeleton(["nose", "tail"]).sigmas == (0.026, OTHER_SIGMA)
    with pytest.warns(UserWarning, match="no partner on the other side for left_knee"):
        assert make_skeleton(["left_knee"]).mirror == (0,)
    for names, message in (([], "without joints"), (["nose", "nose"], "nose appears more than once")):
        with pytest.raises(UserError, match=message):
            make_skeleton(names)
    for sigmas, message in (([0.1], "1 sigmas for 2 joints"), ([0.1, -1], "sigma of left_eye|sigma of right_eye")):
        with pytest.raises(UserError, match=message):
            make_skeleton(["left_eye", "right_eye"], sigmas=sigmas)
