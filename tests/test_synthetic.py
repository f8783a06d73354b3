"""Drawn people: same bytes, true flags, data that a constant answer does not solve."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from litepose_nas.data.layouts.toy import toy_settings, toy_split
from litepose_nas.errors import UserError
from litepose_nas.synthetic import backdrop, figure, paint, picture_dataset, scene
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.synthetic.picture_dataset import picture_rng
from tests.helpers.pycoco import judged_alone


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def annotations_of(folder: Path, split: str) -> list[dict]:
    return json.loads(toy_split(folder, split)[0].read_text())["annotations"]


def quiet_coco(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "people"
    write_toy(folder, train=60, val=120)
    return folder


def test_a_rerun_writes_the_same_bytes(tmp_path):
    steps = []
    first = write_toy(tmp_path / "a", train=4, val=3, seed=5, progress=lambda done, total: steps.append((done, total)))
    write_toy(tmp_path / "b", train=4, val=3, seed=5)
    one, two = files_of(tmp_path / "a"), files_of(tmp_path / "b")
    assert one == two
    assert len(one) == 4 + 3 + 2 + 1
    assert steps == [(k, 7) for k in range(1, 8)]
    assert first.pictures == (4, 3)
    assert first.people[0] == sum(not a["iscrowd"] for a in annotations_of(tmp_path / "a", "train"))
    write_toy(tmp_path / "c", train=4, val=3, seed=6)
    assert files_of(tmp_path / "c").keys() == one.keys()
    assert files_of(tmp_path / "c") != one


def test_a_longer_split_begins_with_a_shorter_one(tmp_path):
    write_toy(tmp_path / "short", train=2, val=1)
    write_toy(tmp_path / "long", train=3, val=2)
    short, longer = files_of(tmp_path / "short"), files_of(tmp_path / "long")
    pictures = [name for name in short if name.endswith(".jpg")]
    assert len(pictures) == 3
    assert all(short[name] == longer[name] for name in pictures)


def test_the_hard_setting_differs_and_repeats(tmp_path):
    write_toy(tmp_path / "a", train=1, val=2, size=256, setting="hard")
    write_toy(tmp_path / "b", train=1, val=2, size=256, setting="hard")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    pictures = [scene.draw_picture(picture_rng(0, "val", k), 256, scene.HARD) for k in range(25)]
    assert min(len(p.people) for p in pictures) < 3
    assert max(len(p.people) for p in pictures) > 7
    assert len({p.image.shape for p in pictures}) == 3


def test_the_easy_setting_is_easy_to_see_and_hard_to_guess(tmp_path):
    write_toy(tmp_path / "people", train=60, val=128, size=128, setting="easy")
    people = [a for a in annotations_of(tmp_path / "people", "val") if not a["iscrowd"]]
    per_image = np.unique([a["image_id"] for a in people], return_counts=True)[1]
    assert set(per_image) == {2, 3, 4}
    flags = np.array([a["keypoints"][2::3] for a in people])
    assert (flags == 1).sum() / (flags > 0).sum() >= 0.205
    assert 0 <= mean_pose_ap(tmp_path / "people") <= 0.15
    drawn = [scene.draw_picture(picture_rng(0, "val", k), 128, scene.EASY) for k in range(40)]
    assert {person.stance for picture in drawn for person in picture.people} == set(scene.EASY.stances)
    facing = np.array([person.facing for picture in drawn for person in picture.people])
    assert np.abs(facing).max() < 60  # nobody turns their back
    assert 3 < facing.std() < 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_is_hidden_whatever_the_seed(tmp_path, seed):
    made = write_toy(tmp_path / "people", train=1, val=128, size=128, seed=seed, setting="easy")
    assert made.hidden[1] >= 0.205


def test_a_misspelt_setting_is_named(tmp_path):
    with pytest.raises(UserError, match="did you mean 'easy'"):
        write_toy(tmp_path / "people", setting="esy")


# pycocotools 2.0 decodes masks in a way that numpy 2 warns about
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_reads_it(drawn):
    coco = quiet_coco(toy_split(drawn, "val")[0])
    assert len(coco.imgs) == 120
    category = coco.loadCats([1])[0]
    assert (category["name"], len(category["keypoints"]), category["keypoints"][0]) == ("person", 17, "nose")
    assert all(1 <= a <= 17 and 1 <= b <= 17 for a, b in category["skeleton"])
    crowds = 0
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        mask = coco.annToMask(annotation)
        assert mask.shape == (image["height"], image["width"])
        left, top, wide, high = annotation["bbox"]
        assert left >= 0
        assert top >= 0
        assert left + wide <= image["width"]
        assert top + high <= image["height"]
        assert mask.sum() == pytest.approx(annotation["area"], rel=0.25, abs=12)
        flags = annotation["keypoints"][2::3]
        assert annotation["num_keypoints"] == sum(flag > 0 for flag in flags)
        if annotation["iscrowd"]:
            crowds += 1
            assert annotation["area"] == rle.area(coco.annToRLE(annotation))
            assert sum(annotation["segmentation"]["counts"]) == image["width"] * image["height"]
            assert not any(flags)
    assert crowds >= 5
    for image in coco.imgs.values():
        picture = cv2.imread(str(drawn / "val" / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3)


def test_the_validation_split_is_worth_judging_on(drawn):
    people = [a for a in annotations_of(drawn, "val") if not a["iscrowd"]]
    per_image = np.unique([a["image_id"] for a in people], return_counts=True)[1]
    assert len(per_image) == 120
    assert set(per_image) == {2, 3, 4}
    assert len(people) >= 240
    flags = np.array([a["keypoints"][2::3] for a in people])
    assert (flags == 1).sum() / (flags > 0).sum() >= 0.20
    assert (flags == 2).sum(axis=1).min() >= scene.STANDARD.shown_joints
    boxes = np.array([a["bbox"] for a in people])
    assert np.percentile(boxes[:, 3], 90) / np.percentile(boxes[:, 3], 10) > 1.5
    at_border = (boxes[:, :2] <= 0).any(axis=1) | (boxes[:, :2] + boxes[:, 2:] >= 160).any(axis=1)
    assert 0.08 < at_border.mean() < 0.5
    # Seen from the front, the nose is labelled and the left hand tends to be at the right; from behind neither.
    assert 0.5 < (flags[:, 0] > 0).mean() < 0.9


def points_of(annotation: dict) -> np.ndarray:
    return np.array(annotation["keypoints"], float).reshape(17, 3)


def mean_pose(annotations: list[dict]) -> np.ndarray:
    """The average place of each labelled joint in a person's box."""
    shares = []
    for annotation in annotations:
        points, (left, top, wide, high) = points_of(annotation), annotation["bbox"]
        shares.append(np.where(points[:, 2:] > 0, (points[:, :2] - (left, top)) / (wide, high), np.nan))
    return np.nanmean(shares, axis=0)


def ap_of(folder: Path, answer) -> float:
    """The AP that pycocotools gives to answer(annotation) -> (17, 2) for each person of val."""
    truth = quiet_coco(toy_split(folder, "val")[0])
    results = []
    for annotation in truth.anns.values():
        if not annotation["iscrowd"]:
            points = np.column_stack((answer(annotation), np.ones(17)))
            common = {"image_id": annotation["image_id"], "category_id": 1, "score": 1.0}
            results.append({**common, "keypoints": points.ravel().tolist()})
    return judged_alone(truth.dataset, results)[0][0]


def mean_pose_ap(folder: Path) -> float:
    mean = mean_pose([a for a in annotations_of(folder, "train") if not a["iscrowd"]])
    return ap_of(folder, lambda annotation: mean * annotation["bbox"][2:] + annotation["bbox"][:2])


def test_the_mean_pose_does_not_solve_it(drawn):
    assert ap_of(drawn, lambda annotation: points_of(annotation)[:, :2]) == pytest.approx(1)
    assert 0 <= mean_pose_ap(drawn) <= 0.15


def alone(actor: scene.Actor, number: int, shape: tuple[int, int]) -> np.ndarray:
    """Where a figure is painted when nothing else is: its silhouette on the canvas."""
    canvas = np.zeros((*shape, 4), np.uint8)
    outfit = paint.draw_outfit(np.random.default_rng(number))
    paint.paint_figure(canvas, actor.figure, outfit, number, actor.origin, actor.scale, (0.0, -1.0))
    return canvas[..., 3]


def make_actor(seed: int, x: float, y: float, scale: float = 300.0) -> scene.Actor:
    rng = np.random.default_rng(seed)
    body = figure.draw_body(rng)
    pose = figure.draw_pose(rng)
    return scene.Actor(figure.place(body, pose), scale, (x, y), (0, 0, 1, 1))


@pytest.mark.parametrize("seed", range(12))
def test_a_nearer_figure_hides_exactly_the_joints_it_covers(seed):
    shape = (480, 480)
    far, near = make_actor(seed, 220, 240), make_actor(seed + 100, 280, 250, 340.0)
    silhouettes = alone(far, 0, shape), alone(near, 1, shape)
    together = np.where(silhouettes[1] > 0, silhouettes[1], silhouettes[0])
    before = scene.person_truth(silhouettes[0], 0, far).joints[:, 2]
    after = scene.person_truth(together, 0, far).joints[:, 2]
    pixels = np.rint(far.figure.joints[:, :2] * far.scale + far.origin).astype(int)
    covered = np.array([silhouettes[1][y, x] > 0 for x, y in pixels])
    assert (before > 0).sum() >= 14
    np.testing.assert_array_equal(after, np.where(covered & (before > 0), 1, before))
    nearest = scene.person_truth(together, 1, near).joints[:, 2]
    np.testing.assert_array_equal(nearest, scene.person_truth(silhouettes[1], 1, near).joints[:, 2])


def test_a_thing_hides_and_the_border_cuts():
    actor = make_actor(3, 240, 240)
    labels = alone(actor, 0, (480, 480))
    free = scene.person_truth(labels, 0, actor)
    seen = int(np.flatnonzero(free.joints[:, 2] == 2)[0])
    x, y = np.rint(actor.figure.joints[seen, :2] * actor.scale + actor.origin).astype(int)
    hidden = labels.copy()
    hidden[y - 2 : y + 3, x - 2 : x + 3] = paint.THING
    behind = scene.person_truth(hidden, 0, actor)
    assert behind.joints[seen, 2] == 1
    np.testing.assert_array_equal(behind.joints[seen, :2], free.joints[seen, :2])
    assert behind.area < free.area
    rows = actor.figure.joints[:, 1] * actor.scale + actor.origin[1]
    edge = int(np.median(rows))
    cut = scene.person_truth(np.ascontiguousarray(labels[:edge]), 0, actor)
    outside = np.rint(rows) >= edge
    assert 0 < outside.sum() < 17
    assert not cut.joints[outside].any()
    np.testing.assert_array_equal(cut.joints[~outside], free.joints[~outside])


def test_seen_joints_lie_on_their_person_and_hidden_ones_do_not_show():
    hidden_by_others = 0
    for k in range(25):
        picture = scene.draw_picture(picture_rng(1, "val", k), 160)
        owner = picture.labels.astype(int) // 16 - 1
        for number, person in enumerate(picture.people):
            for joint, (x, y, flag) in enumerate(person.joints):
                if flag == 0:
                    continue
                column, row = (round((c + 0.5) * scene.FINE - 0.5) for c in (x, y))
                here = owner[row, column]
                part = int(picture.labels[row, column]) % 16
                if flag == 2:
                    assert here == number
                    assert part in paint.PARTS_AT_JOINT[joint]
                elif here != number:
                    hidden_by_others += 1
    assert hidden_by_others > 30


def test_front_and_back_can_be_told_apart():
    # Same body, pose and clothes: the face is seen from the front alone, and left and right change sides.
    rng = np.random.default_rng(4)
    body, outfit = figure.draw_body(rng), paint.draw_outfit(rng)._replace(cap=None, long_hair=False)
    pose = figure.draw_pose(rng)._replace(
        trunk={"bend": 0, "lean": 0, "twist": 0}, neck={"turn": 0, "nod": 0, "tilt": 0}, stance="standing"
    )
    flags, skins, sides = [], [], []
    for facing in (0, 180):
        actor = scene.Actor(figure.place(body, pose._replace(facing=facing)), 400.0, (240.0, 260.0), (0, 0, 1, 1))
        canvas = np.zeros((560, 480, 4), np.uint8)
        paint.paint_figure(canvas, actor.figure, outfit, 0, actor.origin, actor.scale, (0.0, -1.0))
        joints = scene.person_truth(canvas[..., 3].copy(), 0, actor).joints
        flags.append(joints[:3, 2].tolist())
        x, y = np.rint(actor.figure.head[:2] * actor.scale + actor.origin).astype(int)
        skins.append(np.abs(canvas[y + 10, x + 12, :3] - np.array(outfit.skin)).max())
        sides.append(joints[5, 0] - joints[6, 0])
    assert flags == [[2, 2, 2], [0, 0, 0]]
    assert skins[0] < 25 < skins[1]
    assert sides[0] > 20
    assert sides[1] < -20


def test_poses_stay_inside_the_limits_of_joints():
    rng = np.random.default_rng(0)
    names = {"raise": "hip_raise", "out": "hip_out", "roll": "hip_roll"}
    stances = set()
    for _ in range(400):
        pose = figure.draw_pose(rng)
        stances.add(pose.stance)
        angles = [*pose.trunk.items(), *((f"neck_{key}", value) for key, value in pose.neck.items())]
        for arm, leg in zip(pose.arms, pose.legs, strict=True):
            angles += [(key if key == "elbow" else f"shoulder_{key}", value) for key, value in arm.items()]
            angles += [(names.get(key, key), value) for key, value in leg.items()]
        for name, value in angles:
            low, high = figure.LIMITS[name]
            assert low <= value <= high, (name, value)
    assert stances == set(figure.STANCES)


def test_bones_keep_their_lengths():
    for seed in range(20):
        placed = make_actor(seed, 0, 0).figure
        bones = placed.joints[[7, 9, 13, 15]] - placed.joints[[5, 7, 11, 13]]
        body = placed.body
        expected = (body.upper_arm, body.forearm, body.thigh, body.shin)
        np.testing.assert_allclose(np.linalg.norm(bones, axis=1), expected)


def test_a_crowd_is_one_region_with_its_run_lengths():
    labels = np.zeros((40 * scene.FINE, 60 * scene.FINE), np.uint8)
    labels[: 10 * scene.FINE, : 7 * scene.FINE] = backdrop.CROWD
    crowd = scene.crowd_truth(labels)
    assert crowd is not None
    assert crowd.box == (0, 0, 7, 10)
    assert crowd.area == 70
    counts = picture_dataset._crowd(crowd)["segmentation"]["counts"]
    assert counts[:3] == [0, 10, 30]
    assert sum(counts) == 40 * 60
    assert scene.crowd_truth(labels * 0) is None


def test_foreign_folders_stay(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="something other than drawn people"):
        write_toy(mine, train=1, val=1)
    assert files_of(mine) == {"thesis.txt": b"years of work"}
    write_toy(mine, train=1, val=1, force=True)
    numbers = {"train": 1, "val": 1, "size": 160, "seed": 0, "setting": "standard"}
    assert toy_settings(mine) == {"what": "people drawn by litepose-nas", "version": 1, **numbers}
    write_toy(mine, train=2, val=1)  # its own kind is replaced without being told
    assert len(list((mine / "train").iterdir())) == 2
    (mine / "notes.txt").write_text("added later")
    with pytest.raises(UserError, match="force"):
        write_toy(mine, train=1, val=1)
    assert (mine / "notes.txt").exists()
    assert os.listdir(tmp_path) == ["mine"]


def test_an_interruption_leaves_what_was_there(tmp_path):
    target = tmp_path / "people"
    write_toy(target, train=2, val=1)
    before = files_of(target)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_toy(target, train=3, val=1, seed=9, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        write_toy(tmp_path / "new", train=3, val=1, progress=stop)
    assert files_of(target) == before
    assert os.listdir(tmp_path) == ["people"]


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"No space left on device.*nothing was changed"):
        write_toy(tmp_path / "people", train=1, val=1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("wrong", [{"train": 0}, {"val": 0}, {"size": 8}, {"seed": -1}])
def test_wrong_numbers_are_named(tmp_path, wrong):
    with pytest.raises(UserError, match=f"{next(iter(wrong))} = "):
        write_toy(tmp_path / "people", **{"train": 1, "val": 1, **wrong})
    assert os.listdir(tmp_path) == []


def test_the_current_folder_and_files_are_refused(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for target in (".", "..", tmp_path):
        with pytest.raises(UserError, match="name a new folder"):
            write_toy(target, train=1, val=1, force=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="not a folder"):
        write_toy(tmp_path / "file", train=1, val=1, force=True)
    assert (tmp_path / "file").read_text() == "x"
