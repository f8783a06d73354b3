"""Drawn robot arms: same bytes, true flags, fingers that mirror, and a small network that learns them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import litepose_nas as ln
from litepose_nas.data.augment import warp_joints
from litepose_nas.data.boxes import read_detections
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.data.source import Source, open_source
from litepose_nas.errors import UserError
from litepose_nas.inference.batches import evaluate
from litepose_nas.metrics.conditions import PredictionSettings
from litepose_nas.metrics.reports import METRICS, MetricInput
from litepose_nas.pose.make_task import make_task
from litepose_nas.runs.run import Run
from litepose_nas.supernet import calibrate
from litepose_nas.synthetic import robot_arm
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import changed, named
from litepose_nas.train.trainee import NetTrainee


def drawn(folder: Path, train: int, val: int, size: int, seed: int = 0) -> Source:
    write_toy(folder, train=train, val=val, size=size, seed=seed, subject="arm")
    return open_source(str(folder))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.fixture(scope="module")
def arms(tmp_path_factory) -> Source:
    return drawn(tmp_path_factory.mktemp("arms") / "arms", train=60, val=5, size=96)


def test_the_same_bytes_for_a_seed_in_any_process(tmp_path):
    drawn(tmp_path / "a", 4, 2, 64, seed=3)
    code = "from litepose_nas.synthetic.dataset import write_toy"
    code += f"; write_toy({str(tmp_path / 'b')!r}, 4, 2, 64, 3, subject='arm')"
    subprocess.run([sys.executable, "-c", code], check=True)
    drawn(tmp_path / "c", 4, 2, 64, seed=4)
    drawn(tmp_path / "longer", 5, 2, 64, seed=3)
    one = files_of(tmp_path / "a")
    assert one == files_of(tmp_path / "b")
    assert one.keys() == files_of(tmp_path / "c").keys()
    pictures = [name for name in one if name.endswith(".jpg")]
    assert len(pictures) == 6
    assert all(one[name] != files_of(tmp_path / "c")[name] for name in pictures)
    assert all(one[name] == files_of(tmp_path / "longer")[name] for name in pictures)
    drawn(tmp_path / "a", 1, 1, 64)  # an earlier drawing is replaced
    assert len(files_of(tmp_path / "a")) == 2 + 4 + 2


def test_the_yaml_says_what_the_joints_are(arms):
    dataset = arms.read("train")
    assert dataset.skeleton == robot_arm.SKELETON
    assert len(dataset.skeleton.names) == 7
    assert dataset.skeleton.flip_pairs == ((5, 6),)
    assert {len(record.joints) for record in dataset.records} == {1, 2}
    split = arms.split("train")
    boxes = read_detections(split.images.parent / "annotations" / "boxes_train.json")
    for record in dataset.records:
        assert boxes[record.image_id][:, :4] == pytest.approx(record.boxes)


def test_an_arm_is_rigid_and_lies_in_its_picture(arms):
    joints = np.concatenate([record.joints for record in arms.read("train").records])
    boxes = np.concatenate([record.boxes for record in arms.read("train").records])
    assert joints[..., :2].min() >= 0
    assert joints[..., :2].max() <= 95
    assert set(np.unique(joints[..., 2])) == {1, 2}
    assert 0.01 < (joints[..., 2] == 1).mean() < 0.2
    lengths = [np.linalg.norm(joints[:, b, :2] - joints[:, a, :2], axis=1) for a, b in robot_arm.SKELETON.limbs]
    wanted = (robot_arm.COLUMN, robot_arm.UPPER, robot_arm.FORE, robot_arm.HAND, robot_arm.FINGER, robot_arm.FINGER)
    for length, share in zip(lengths, wanted, strict=True):
        assert length / lengths[1] == pytest.approx(share / robot_arm.UPPER, abs=0.02)
    seen = joints[..., 2] == 2
    low, high = boxes[:, None, :2] - 1.5, boxes[:, None, :2] + boxes[:, None, 2:] + 1.5
    assert ((joints[..., :2] >= low) & (joints[..., :2] <= high)).all(-1)[seen].all()


def test_what_is_seen_is_what_was_painted():
    for seed in range(20):
        picture = robot_arm.draw_picture(np.random.default_rng(seed), 64)
        for number, arm in enumerate(picture.people):
            for joint, (x, y, flag) in enumerate(arm.joints.tolist()):
                column, row = (round(2 * value + 0.5) for value in (x, y))  # the canvas is twice as fine
                part = int(picture.labels[row, column]) - 16 * (number + 1)
                assert (flag == 2) == (part in robot_arm.PARTS_AT_JOINT[joint])


def turn_of_fingers(joints: np.ndarray) -> np.ndarray:
    """Return what is positive where the left finger is to the left of somebody who looks from wrist to hand."""
    ahead, left = joints[:, 4, :2] - joints[:, 3, :2], joints[:, 5, :2] - joints[:, 6, :2]
    return ahead[:, 1] * left[:, 0] - ahead[:, 0] * left[:, 1]


def test_left_stays_left_in_a_mirrored_picture(arms):
    joints = np.concatenate([record.joints for record in arms.read("train").records])
    assert (turn_of_fingers(joints) > 0).all()
    flip = np.array([[-1.0, 0, 96], [0, 1, 0]])
    assert (turn_of_fingers(warp_joints(joints, flip, robot_arm.SKELETON.mirror)) > 0).all()
    assert (turn_of_fingers(warp_joints(joints, flip)) < 0).all()


def test_a_straight_arm_points_up():
    joints = robot_arm.pose_joints(0, 0, 0, 0, 0)
    assert joints[:, 0] == pytest.approx(np.zeros(7))
    assert joints[-1, 1] == pytest.approx(-1)
    bent = robot_arm.pose_joints(0, np.pi / 2, 0, 0, 0)
    assert bent[2] == pytest.approx((robot_arm.UPPER, -robot_arm.COLUMN))  # clockwise: to the right


def test_words_that_are_not_of_arms_are_refused(tmp_path, said):
    with pytest.raises(UserError, match="'arms' is not one; did you mean"):
        write_toy(tmp_path / "a", subject="arms")
    with pytest.raises(UserError, match="'easy' is one of people"):
        write_toy(tmp_path / "a", subject="arm", setting="easy")
    assert not (tmp_path / "a").exists()
    assert "arm" in said(f"data toy {tmp_path}/a --subject arn", 2)


def test_the_doctor_finds_nothing_wrong(arms, said):
    told = json.loads(said(f"data check {Path(arms.name).parent} --json"))
    assert [found for found in told["findings"] if found["severity"] != "note"] == []


def test_a_small_network_learns_them(tmp_path):
    source, size, steps = drawn(tmp_path / "arms", 200, 30, 96), (64, 48), 450
    dataset, held = source.read("train"), source.read("val")
    recipe = changed(named("default", "topdown"), ["batch=8", "lr=0.01", "rotation=0", "scale=0.9,1.1"], "topdown")
    task, pictures = make_task(dataset.skeleton, recipe.task_info, "topdown"), Pictures(dataset)
    torch.manual_seed(0)
    net = ln.build(ln.Space.load("topdown-tiny").smallest, 7)
    trainee = NetTrainee(net, recipe, size, "cpu", 7, task=task)

    def pck() -> float:
        calibrate(net, [task.train_batch(pictures, size, 8, 0, step, None).images for step in range(8)])
        found = evaluate(net, Pictures(held), task, size)[1]
        document = source.document("val")
        made = PredictionSettings(False, (1.0,), "true boxes")
        given = MetricInput(document, held.annotations, held.skeleton.sigmas, found, made, "")
        return float(METRICS["pck"](given).figures["pck@0.2 of box"])

    def stream(start: int):
        return batches(pictures, size, recipe.batch, 0, recipe.augment, start, steps, make_batch=task.train_batch)

    before, losses = pck(), []
    net.train()
    with Run.create("finetune", settings=dataclasses.asdict(recipe), out=tmp_path / "run") as made:
        every = Every(15, steps, steps)
        fit(trainee, stream, made, steps, every=every, report=lambda p: losses.append(p.losses["loss"]))
    after = pck()
    assert losses[-1] < 0.25 * losses[0]
    assert before < 0.2
    assert after > 0.8, (before, after, losses)
