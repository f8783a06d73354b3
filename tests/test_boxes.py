"""Cut-outs: the box is shown whole, in the middle, undistorted; a map and its inverse meet; boxes from files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas.data import augment as aug
from litepose_nas.data import boxes as b
from litepose_nas.data.augment import Augment, invert, warp_joints, warp_picture
from litepose_nas.errors import UserError

SIZES = st.tuples(st.integers(16, 300), st.integers(16, 300))
BOXES = st.tuples(st.floats(-50, 400), st.floats(-50, 400), st.floats(1, 500), st.floats(1, 500))
STILL = Augment(rotation=0, scale=(1, 1), translate=0, flip=0, colour=0)
NO_LOWER = np.zeros(17, bool)


def map_points(matrix, points):
    return np.asarray(points, float) @ matrix[:, :2].T + matrix[:, 2]


@settings(max_examples=200)
@given(box=BOXES, size=SIZES, angle=st.floats(-4, 4), flipped=st.booleans())
def test_a_map_and_its_inverse_meet(box, size, angle, flipped):
    warp = b.crop_warp(b.padded(box, size), size, angle, flipped)
    points = np.random.default_rng(0).uniform(-500, 900, (20, 2))
    np.testing.assert_allclose(map_points(invert(warp), map_points(warp, points)), points, atol=1e-6)
    np.testing.assert_allclose(warp @ [*np.array(box[:2]) + np.array(box[2:]) / 2, 1], np.array(size[::-1]) / 2)
    zooms = np.linalg.svd(warp[:, :2])[1]
    assert zooms[0] == pytest.approx(zooms[1])  # nothing is stretched
    assert (np.linalg.det(warp[:, :2]) < 0) == flipped


@settings(max_examples=200)
@given(box=BOXES, size=SIZES)
def test_a_box_fills_the_input_but_for_its_margin(box, size):
    warp = b.crop_warp(b.padded(box, size), size)
    left, top, width, height = box
    low, high = map_points(warp, [(left, top), (left + width, top + height)])
    share = (high - low) / size[::-1]
    assert share.max() == pytest.approx(1 / b.PADDING)
    assert (low >= -1e-6).all()
    assert (high <= np.array(size[::-1]) + 1e-6).all()


@settings(max_examples=50)
@given(box=BOXES, size=SIZES, seed=st.integers(0, 999))
def test_mirrored_twice_is_the_picture_again(box, size, seed):
    rng = np.random.default_rng(seed)
    joints = np.concatenate([rng.uniform(0, 300, (1, 4, 2)), np.ones((1, 4, 1))], -1).astype(np.float32)
    extent, mirror = b.padded(box, size), (0, 2, 1, 3)
    plain, flipped = b.crop_warp(extent, size), b.crop_warp(extent, size, flipped=True)
    again = np.array([[-1.0, 0, size[1]], [0, 1, 0]])
    once = warp_joints(joints, flipped, mirror)
    np.testing.assert_allclose(warp_joints(once, again, mirror), warp_joints(joints, plain), atol=1e-2)


def test_pixels_go_where_joints_go():
    """A dot is drawn, cut out with every kind of change, and found where its joint is said to be."""
    rng = np.random.default_rng(3)
    for _ in range(40):
        image = np.zeros((120, 160, 3), np.uint8)
        x, y = rng.uniform(45, 110), rng.uniform(40, 80)
        cv2.circle(image, (round(16 * (x - 0.5)), round(16 * (y - 0.5))), 4 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
        box = (x - rng.uniform(20, 30), y - rng.uniform(20, 30), 55, 60)
        joints = np.array([[x, y, 2]] * 17, np.float32)
        how = Augment(rotation=40, scale=(0.75, 1.25), translate=0.05)
        warp, _ = b.draw_crop(rng, box, joints, NO_LOWER, (128, 96), how)
        cut = warp_picture(image, warp, (128, 96)).astype(float)
        cut = np.clip(cut.mean(-1) - 130, 0, None)
        rows, columns = np.mgrid[:128, :96] + 0.5
        found = np.array([(cut * columns).sum(), (cut * rows).sum()]) / cut.sum()
        np.testing.assert_allclose(found, warp_joints(joints[None, :1], warp)[0, 0, :2], atol=0.25)


def test_draws_stay_in_their_ranges():
    rng, size = np.random.default_rng(0), (128, 96)
    box, joints = (20.0, 10, 30, 80), np.zeros((17, 3), np.float32)
    how = Augment(rotation=40, scale=(0.75, 1.25), translate=0.05, flip=0.5)
    plain = b.crop_warp(b.padded(box, size), size)
    zoom, turns, zooms, flips = plain[0, 0], [], [], 0
    for _ in range(400):
        warp, flipped = b.draw_crop(rng, box, joints, NO_LOWER, size, how)
        turn = warp[:, :2] * [[-1, 1], [-1, 1]] if flipped else warp[:, :2]
        turns.append(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])))
        zooms.append(zoom / np.sqrt(abs(np.linalg.det(turn))))
        flips += flipped
        middle = map_points(invert(warp), [[48, 64]])[0] - (35, 50)
        assert (abs(middle) <= 0.05001 * np.array([96, 128]) / zoom).all()
    assert -40 <= min(turns) < -35
    assert 35 < max(turns) <= 40
    assert 0.75 <= min(zooms) < 0.78
    assert 1.22 < max(zooms) <= 1.25
    assert 160 < flips < 240
    assert np.array_equal(b.draw_crop(rng, box, joints, NO_LOWER, size, STILL)[0], plain)


def body():
    """COCO's names, and a person whose upper joints are above 50 and whose lower ones are below."""
    names = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"]
    names += ["right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee"]
    names += ["left_ankle", "right_ankle"]
    rng, lower = np.random.default_rng(1), b.lower_half(names)
    joints = np.column_stack([rng.uniform(10, 40, 17), rng.uniform(0, 50, 17) + 50 * lower, np.full(17, 2)])
    return joints.astype(np.float32), lower


def test_half_a_body():
    joints, lower = body()
    assert lower.sum() == 6
    for upper, chosen in ((True, ~lower), (False, lower)):
        left, top, width, height = b.half_body(joints, lower, upper)
        points = joints[chosen, :2]
        assert (left, top) == tuple(points.min(0))
        np.testing.assert_allclose((left + width, top + height), points.max(0), rtol=1e-6)
    few = joints.copy()
    few[8:, 2] = 0
    assert b.half_body(few, lower, True) is None  # eight joints are too few to halve
    few = joints.copy()
    few[13:, 2] = 0  # the hips alone are no half: the other one is taken
    assert b.half_body(few, lower, False) == b.half_body(joints, lower, True)
    assert b.half_body(joints, NO_LOWER, True) is None  # names that do not tell


def test_half_bodies_are_shown_as_often_as_asked():
    joints, lower = body()
    rng, size, box = np.random.default_rng(0), (128, 96), (10.0, 0, 30, 100)
    halves = STILL._replace(half_body=0.3)
    whole = b.crop_warp(b.padded(box, size), size)
    shown = [b.draw_crop(rng, box, joints, lower, size, halves)[0] for _ in range(500)]
    different = [warp for warp in shown if not np.array_equal(warp, whole)]
    assert 110 < len(different) < 190
    upper = [warp for warp in different if map_points(invert(warp), [[48, 64]])[0, 1] < 50]
    assert 0.6 < len(upper) / len(different) < 0.8


def test_clipped():
    assert b.clipped((-10, -10, 30, 25), (40, 60)) == (0, 0, 20, 15)
    assert b.clipped((50, 30, 30, 25), (40, 60)) == (50, 30, 10, 10)
    for nothing in [(70, 0, 5, 5), (0, 0, 0, 5), (0, 0, -3, 5), (float("nan"), 0, 5, 5), (0, 0, float("nan"), 5)]:
        assert b.clipped(nothing, (40, 60)) is None


def write(path: Path, entries) -> Path:
    path.write_text(json.dumps(entries))
    return path


def entry(image=7, category=1, box=(1, 2, 30, 40), score=0.9, **more):
    return {"image_id": image, "category_id": category, "bbox": list(box), "score": score, **more}


def test_boxes_of_a_detection_file(tmp_path):
    entries = [entry(score=0.25), entry(score=0.5), entry(8), entry(8, category=3), entry("cat.jpg"), entry("dog")]
    file = write(tmp_path / "d.json", entries)
    boxes = b.read_boxes(file)
    assert {image: len(rows) for image, rows in boxes.items()} == {7: 2, 8: 1, "cat.jpg": 1, "dog": 1}
    assert boxes[7].tolist() == [[1, 2, 30, 40, 0.5], [1, 2, 30, 40, 0.25]]
    assert len(b.read_boxes(file, 0.4)[7]) == 1
    assert list(b.read_boxes(file, 0.0, 3)) == [8]
    assert len(b.boxes_of_file(boxes, Path("x/000000000007.jpg"))) == 2
    assert len(b.boxes_of_file(boxes, Path("x/cat.jpg"))) == len(b.boxes_of_file(boxes, Path("dog.png"))) == 1
    assert b.boxes_of_file(boxes, Path("cat.png")).shape == (0, 5)
    for nobody in ([], [entry(category=2)]):
        with pytest.raises(UserError, match="no box of category 1 has a score of 0 or more"):
            b.read_boxes(write(file, nobody))
    with pytest.raises(UserError, match=r"detection 0 needs an 'image_id', a whole number or the name of a picture"):
        b.read_boxes(write(file, [entry(None)]))


def test_the_whole_picture_is_a_view(tmp_path):
    from litepose_nas.pose.topdown import TopDown

    (view,) = TopDown(17).views((60, 100), (128, 96))
    assert np.array_equal(view.warp, aug.fit_warp((60, 100), (128, 96)))
    assert TopDown(17).views((60, 100), (128, 96), np.array([[200.0, 0, 5, 5, 1]])) == []
