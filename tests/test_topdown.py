"""The top-down task: people in, people out; suppression, rescoring, boxes from files; every step on drawn people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import litepose_nas as ln
from litepose_nas.data.augment import Augment
from litepose_nas.data.boxes import PADDING
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.layouts.toy import toy_split
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.errors import UserError
from litepose_nas.inference.batches import evaluate
from litepose_nas.metrics.coco import coco_ap
from litepose_nas.pose.codecs import CODECS, encode
from litepose_nas.pose.losses import LossSettings
from litepose_nas.pose.nms import oks, oks_nms
from litepose_nas.pose.people import DivergedError
from litepose_nas.pose.task import PicturePeople
from litepose_nas.pose.topdown import TopDown, joint_weights
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.recipe import OWN, TOPDOWN, VIPNAS, Recipe, changed, from_mapping, kept, named
from tests.helpers import overfit, tiny
from tests.helpers.coco_file import read_coco, truth_at

SIZE = (128, 96)
PLAIN = LossSettings()


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("people") / "toy"
    write_toy(folder, train=1, val=30)
    return read_coco(*toy_split(folder, "val"))


def task_for(dataset: Dataset, **how) -> TopDown:
    skeleton = dataset.skeleton
    return TopDown(len(skeleton.names), skeleton.flip_pairs, sigmas=skeleton.sigmas, **how)


class Oracle:
    """A network that knows the truth: it answers with the targets of the next batch, with flip once more mirrored."""

    def __init__(self, batches, task, flip=False):
        self.batches, self.task, self.flip, self.mirrored = batches, task, flip, False

    def __call__(self, images):
        joints = self.joints if self.mirrored else next(self.batches)[0].joints
        self.joints = joints.clone()
        if self.mirrored:  # as a network would answer that sees the mirrored cut-out
            order = [
                dict([*self.task.flip_pairs, *(p[::-1] for p in self.task.flip_pairs)]).get(j, j) for j in range(17)
            ]
            joints[..., 0] = (SIZE[1] - joints[..., 0]) * (joints[..., 2] > 0)
            joints = joints[:, :, order]
        self.mirrored = self.flip and not self.mirrored
        maps = (SIZE[0] // 4, SIZE[1] // 4)
        return [encode(joints[:, 0], SIZE, maps, CODECS[self.task.codec])[0]]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("codec", "least"), [("dark", 0.99), ("udp", 0.99), ("plain", 0.85)])
def test_a_network_that_knows_the_truth_scores_near_one(people, codec, least, flip):
    """Published targets forget where between pixels a joint is, which costs a tenth on people as small as these."""
    task, pictures = task_for(people, codec=codec), Pictures(people)
    scores, results = evaluate(
        Oracle(task.eval_batches(pictures, SIZE, 16), task, flip), pictures, task, SIZE, 16, flip
    )
    assert scores.ap > least
    assert coco_ap(truth_at(people.annotations), results) == scores
    assert len(results) == task.items(pictures)


@pytest.mark.parametrize("codec", CODECS)
def test_coordinates_are_not_a_fraction_of_a_pixel_off(people, codec):
    """The mean of the errors over all joints is far below a pixel, so nothing shifts them on the way."""
    task, pictures = task_for(people, codec=codec), Pictures(people)
    _, results = evaluate(Oracle(task.eval_batches(pictures, SIZE, 16), task), pictures, task, SIZE)
    truth = {(r.image_id, i): r.joints[i] for r in people.records for i in range(len(r.joints))}
    errors = []
    for result in results:
        points = np.array(result["keypoints"]).reshape(17, 3)
        true = min(
            (joints for (image, _), joints in truth.items() if image == result["image_id"]),
            key=lambda joints: np.abs((points - joints)[joints[:, 2] > 0, :2]).mean(),
        )
        seen = (true[:, 2] > 0) & (points[:, 2] > 0.9)
        errors.extend(points[seen, :2] - true[seen, :2])
    assert len(errors) > 300
    bound = 0.05 if codec != "plain" else 0.1
    assert np.abs(np.mean(errors, 0)).max() < bound
    if codec != "plain":
        assert np.abs(errors).max() < 0.1


def test_a_cut_out_shows_its_person(people):
    task, pictures = task_for(people), Pictures(people)
    (batch, warps), *_ = task.eval_batches(pictures, SIZE, 5)
    assert batch.images.shape == (5, 3, *SIZE)
    assert batch.joints.shape == (5, 1, 17, 3)
    assert batch.masks is None
    assert len(warps) == 5
    index, person = pictures.people[0]
    np.testing.assert_allclose(batch.boxes[0, :4], people.records[index].boxes[person], atol=2)
    corners = np.array([[*batch.boxes[0, :2], 1], [*(batch.boxes[0, :2] + batch.boxes[0, 2:4]), 1]]) @ warps[0].T
    assert ((corners[1] - corners[0]) / SIZE[::-1]).max() == pytest.approx(1 / PADDING)


def test_every_person_once_an_epoch(people):
    task, pictures = task_for(people), Pictures(people)
    count = task.items(pictures)
    assert count == sum(len(record.joints) for record in people.records)
    seen = []
    for step in range(count):
        batch = task.train_batch(pictures, (32, 24), 1, 3, step, None)
        seen.append((batch.image_ids[0], tuple(batch.boxes[0])))
    assert len(set(seen)) == count


def test_training_batches_depend_on_seed_and_step_alone(people):
    task, pictures, how = task_for(people), Pictures(people), TOPDOWN.augment
    one, same = (task.train_batch(p, SIZE, 4, 0, 7, how) for p in (pictures, Pictures(people, 0)))
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.joints, same.joints)
    assert not torch.equal(one.images, task.train_batch(pictures, SIZE, 4, 0, 8, how).images)
    stream = batches(pictures, SIZE, 4, 0, how, 7, 8, make_batch=task.train_batch)
    assert torch.equal(next(stream)[1].images, one.images)


def test_a_mirrored_cut_out_names_left_and_right_anew(people):
    task, still = task_for(people), Augment(rotation=0, scale=(1, 1), translate=0, flip=0, colour=0)
    pictures, mirror = Pictures(people), list(people.skeleton.mirror)
    plain = task.train_batch(pictures, SIZE, 4, 0, 0, still)
    flipped = task.train_batch(pictures, SIZE, 4, 0, 0, still._replace(flip=1))
    assert torch.allclose(flipped.images.flip(-1), plain.images, atol=0.1)
    back = flipped.joints[:, :, mirror]
    back[..., 0] = (SIZE[1] - back[..., 0]) * (back[..., 2] > 0)
    torch.testing.assert_close(back, plain.joints, atol=1e-3, rtol=0)


def test_the_loss_asks_only_for_labelled_joints():
    task = TopDown(3)
    joints = torch.tensor([[[[20.0, 20, 2], [40, 40, 1], [0, 0, 0]]]])
    outputs = [torch.rand(1, 3, 16, 16)]
    loss = task.target(outputs, joints, None, (64, 64), PLAIN)
    wanted, _ = encode(joints[:, 0], (64, 64), (16, 16), CODECS["dark"])
    literal = sum(float(((outputs[0][0, j] - wanted[0, j]) ** 2).mean()) for j in (0, 1)) / 3
    assert float(loss(outputs)["total"]) == pytest.approx(literal)
    changed_third = outputs[0].clone()
    changed_third[:, 2] += 5
    assert loss([changed_third])["total"] == loss(outputs)["total"]
    heavy = TopDown(3, weights=(2.0, 1.0, 1.0)).target(outputs, joints, None, (64, 64), PLAIN)
    first = float(((outputs[0][0, 0] - wanted[0, 0]) ** 2).mean()) / 3
    assert float(heavy(outputs)["total"]) == pytest.approx(literal + first)


def test_joint_weights_by_name():
    assert joint_weights(["nose", "left_wrist", "Right_Knee"]) == (1.0, 1.5, 1.2)
    with pytest.raises(UserError, match="no joint of tip, base is a wrist"):
        joint_weights(["tip", "base"])


def test_distillation_is_zero_at_the_teacher():
    teacher = [torch.rand(2, 3, 8, 8)]
    assert TopDown(3).distillation(teacher, teacher, PLAIN) == 0
    assert TopDown(3).distillation([teacher[0] + 0.1], teacher, PLAIN) == pytest.approx(0.01, rel=1e-3)


# ── people from cut-outs ──


def literal_nms(points, scores, areas, sigmas, threshold):
    """Greedy suppression, one pair at a time."""
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        alike = False
        for j in kept:
            total = 0.0
            for k, sigma in enumerate(sigmas):
                square = sum((points[i][k][axis] - points[j][k][axis]) ** 2 for axis in (0, 1))
                total += np.exp(-square / (2 * ((areas[i] + areas[j]) / 2) * (2 * sigma) ** 2))
            alike = alike or total / len(sigmas) > threshold
        if not alike:
            kept.append(i)
    return kept


@settings(max_examples=60)
@given(count=st.integers(0, 12), seed=st.integers(0, 999), threshold=st.floats(0.3, 0.95), near=st.floats(0.5, 30))
def test_suppression_is_the_literal_rule(count, seed, threshold, near):
    rng = np.random.default_rng(seed)
    sigmas = rng.uniform(0.03, 0.1, 5)
    points = rng.uniform(0, 100, (1, 5, 2)) + rng.normal(0, near, (count, 5, 2))
    scores = rng.choice([0.3, 0.5, 0.9], count).astype(np.float32)
    areas = rng.uniform(500, 5000, count)
    found = oks_nms(points, scores, areas, sigmas, threshold)
    assert found.tolist() == literal_nms(points, scores, areas, sigmas, threshold)


def test_similarity_of_a_person_to_itself():
    points = np.random.default_rng(0).uniform(0, 50, (3, 4, 2))
    alike = oks(points[0], points, 900.0, np.full(3, 900.0), np.full(4, 0.05))
    assert alike[0] == 1
    assert (alike[1:] < 1).all()


def seen(image, x, score, box_score, joints=4):
    points = np.full((1, joints, 3), (x, 10.0, 0.5))
    return PicturePeople(image, points, np.array([score], np.float32), np.array([0, 0, 10, 10, box_score]), 400.0)


def test_people_are_scored_with_their_boxes_and_doubles_go():
    task = TopDown(4, sigmas=(0.05,) * 4)
    first, second = task.gather(
        [seen(3, 20, 0.5, 0.8), seen(5, 20, 0.5, 1.0), seen(3, 20.05, 0.9, 0.9), seen(3, 90, 1, 0.1)]
    )
    assert (first.image_id, second.image_id) == (3, 5)
    assert first.scores.tolist() == pytest.approx([0.81, 0.1])
    assert first.keypoints[:, 0, 0].tolist() == [20.05, 90]
    assert second.scores.tolist() == [0.5]
    everybody = TopDown(4).gather([seen(3, 20, 0.5, 0.8), seen(3, 20, 0.9, 0.9)])
    assert len(everybody[0].scores) == 2


def test_joints_below_the_threshold_do_not_count_in_the_score():
    maps = torch.zeros(1, 4, 8, 8)
    for joint, value in enumerate((0.9, 0.5, 0.1, -1.0)):
        maps[0, joint, 3, 3] = value
    maps[0, 3] -= 0.5
    (person,) = TopDown(4, codec="plain").people([maps], None, (32, 32))
    assert person.scores.tolist() == pytest.approx([0.7])
    assert person.keypoints[0, 2, 2] == pytest.approx(0.1)
    assert (person.keypoints[0, 3] == 0).all()  # nothing above zero: the joint was not found


def test_outputs_that_are_wrong():
    with pytest.raises(UserError, match="5 channels, a task of 4 joints"):
        TopDown(4).people([torch.zeros(1, 5, 8, 8)], None, (32, 32))
    with pytest.raises(DivergedError, match="NaN"):
        TopDown(4).people([torch.full((1, 4, 8, 8), torch.nan)], None, (32, 32))


# ── boxes from a detector ──


def detections(dataset, path, wide=0.0, also=()):
    entries = [
        {
            "image_id": r.image_id,
            "category_id": 1,
            "bbox": [x - wide, y - wide, w + 2 * wide, h + 2 * wide],
            "score": 0.9,
        }
        for r in dataset.records
        for x, y, w, h in r.boxes.tolist()
    ]
    path.write_text(json.dumps([*entries, *also]))
    return path


def test_detected_boxes_show_the_same_people(people, tmp_path):
    from litepose_nas.data.boxes import read_boxes

    file = detections(people, tmp_path / "d.json")
    given_boxes = task_for(people, boxes=read_boxes(file))
    pictures = Pictures(people)
    for (one, _), (other, _) in zip(
        task_for(people).eval_batches(pictures, SIZE), given_boxes.eval_batches(pictures, SIZE), strict=True
    ):
        assert torch.equal(one.images, other.images)
        assert other.boxes[:, 4] == pytest.approx(0.9)
        assert not other.joints.any()  # nobody knows whose box it is
    fewer = given_boxes._replace(boxes={people.records[0].image_id: read_boxes(file)[people.records[0].image_id]})
    ids = {image for batch, _ in fewer.eval_batches(pictures, SIZE) for image in batch.image_ids}
    assert ids == {people.records[0].image_id}


# ── recipes ──


def test_settings_of_the_other_task_are_refused():
    for task, other in (("bottomup", "topdown"), ("topdown", "bottomup")):
        recipe = named("default", task)
        for key in OWN[other]:
            with pytest.raises(UserError, match=f"{key}: only .* networks read it"):
                changed(recipe, [f"{key}=1"], task)
            assert key not in kept(recipe, task)
        for key in OWN[task]:
            assert key in kept(recipe, task)
        assert from_mapping(kept(recipe, task)) == recipe
    assert changed(TOPDOWN, ["codec=udp", "half_body=0.1"], "topdown").codec == "udp"
    with pytest.raises(UserError, match="codec=drak: not one of its choices"):
        changed(TOPDOWN, ["codec=drak"], "topdown")


def test_recipes_have_a_task():
    assert named("vipnas", "topdown") is VIPNAS
    assert named("default") == Recipe()
    with pytest.raises(UserError, match=r"'litepose' is one for bottom-up networks; .*vipnas"):
        named("litepose", "topdown")
    with pytest.raises(UserError, match="is not one"):
        named("nothing", "topdown")
    assert VIPNAS.rate(int(0.5 * 1000), 1000) == 5e-4
    assert VIPNAS.rate(int(0.9 * 1000), 1000) == pytest.approx(5e-5)


# ── the steps ──


@pytest.fixture
def room(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path / "people", train=12, val=4, size=64)
    return tmp_path


def test_every_step_takes_a_topdown_space(room, monkeypatch, said):
    """Six commands on a few drawn people; the figures are those of networks that have learned nothing."""

    assert "crops, 4 steps" in said("train-supernet --space topdown-tiny --data people --steps 4 batch=2 codec=udp")
    assert (room / "runs/train-supernet/supernet/images/train.jpg").is_file()
    assert "of one person" in said("search --budget 8MMAC --evals 2")
    said("extract subnet.json")
    said("finetune subnet.safetensors --steps 2")
    assert ln.load("subnet-finetuned.safetensors").meta["codec"] == "udp"
    assert "true boxes" in said("evaluate subnet-finetuned.safetensors --flip")
    dataset = read_coco(*toy_split(room / "people", "val"))
    detections(
        dataset, room / "boxes.json", 2.0, [{"image_id": 999, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.1}]
    )
    people = len(Pictures(dataset).people)
    printed = said("evaluate subnet-finetuned.safetensors --boxes boxes.json --min-box-score 0.5 --save results.json")
    assert f"{people} boxes of boxes.json in 4 pictures, score 0.5 or more" in printed
    assert len(json.loads(Path("results.json").read_text())) <= people
    told = json.loads(said("evaluate subnet-finetuned.safetensors --boxes boxes.json --json"))
    assert "boxes of boxes.json" in told["boxes"]
    assert "each picture is taken for one person" in said("predict subnet-finetuned.safetensors people/val")
    assert "people in 4 pictures" in said("predict subnet-finetuned.safetensors people/val --boxes boxes.json")
    assert "the cost is that of one person" in said("profile subnet.json")
    assert json.loads(said("profile subnet.json --json"))["of_one"] == "person"


def test_boxes_where_none_are_wanted(room, said):
    source, space = tiny.open_source(str(room / "people")), str(tiny.ROOT / "search_spaces" / "litepose-tiny.yaml")
    tiny.network(room / "net.safetensors", source, space)
    (room / "boxes.json").write_text("[]")
    for command in ("evaluate net.safetensors --data people", "predict net.safetensors people/val"):
        assert "sees whole pictures" in said(f"{command} --boxes boxes.json", 2)
        assert "name it with --boxes" in said(f"{command} --min-box-score 0.5", 2)


def test_a_killed_training_resumes_to_the_same_bytes(room):
    source = tiny.open_source(str(room / "people"))
    space = tiny.ROOT / "search_spaces" / "topdown-tiny.yaml"
    tiny.supernet(room / "whole", source, str(space), steps=6)

    def stop(progress):
        if progress.step == 4:
            raise KeyError("killed")

    with pytest.raises(KeyError, match="killed"):
        tiny.supernet(room / "stopped", source, str(space), steps=6, report=stop)
    tiny.supernet(room / "stopped", source, str(space), steps=6)
    tiny.same(tiny.left_by_training(room / "whole"), tiny.left_by_training(room / "stopped"))


# ── learning ──


def test_a_few_drawn_people_are_learned_by_heart(tmp_path):
    """The figure is from the pictures that were learned; about 0.95, in 6 seconds on one core."""
    write_toy(tmp_path / "people", train=5, val=1, size=128, setting="easy")
    dataset = read_coco(*toy_split(tmp_path / "people", "train"))
    assert sum(len(record.joints) for record in dataset.records) >= 8
    space = ln.Space.load("topdown-tiny")
    wider = {"stages.1.width": 32, "stages.2.width": 64, "stages.1.kernel": 5, "stages.2.kernel": 5}
    arch = space.arch({**space.smallest.to_dict(), **wider, "head.0.width": 32, "head.1.width": 32})
    assert overfit.by_heart(dataset, arch, (96, 72), 300, tmp_path / "run", "lr=0.005") >= 0.9
