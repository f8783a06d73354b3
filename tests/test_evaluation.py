"""Evaluation: pycocotools' own numbers and lines; perfect answers score 1, none 0; the truth survives the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from litepose_nas.data.dataset import Dataset, split
from litepose_nas.data.layouts.toy import toy_split
from litepose_nas.data.loader import Fitted, Pictures, eval_batches
from litepose_nas.errors import UserError
from litepose_nas.inference import batches as evaluation
from litepose_nas.inference.batches import evaluate, predict_batches
from litepose_nas.metrics.coco import bootstrap_ap, coco_ap, read_truth, ten_lines
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.people import DivergedError
from litepose_nas.pose.targets import bottomup_targets
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.coco_file import read_coco, truth_at
from tests.helpers.pycoco import judged_alone

SIZE = (128, 128)


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("people") / "toy"
    write_toy(folder, train=1, val=40)
    return read_coco(*toy_split(folder, "val"))


@pytest.fixture(scope="module")
def task(people) -> BottomUp:
    return BottomUp(17, people.skeleton.flip_pairs)


def literal_results(dataset: Dataset, noise: float = 0.0, missed: float = 0.0) -> list[dict]:
    rng, results = np.random.default_rng(0), []
    for annotation in json.loads(dataset.annotations.read_text())["annotations"]:
        if annotation["iscrowd"] or rng.random() < missed:
            continue
        points = np.array(annotation["keypoints"], float).reshape(-1, 3)
        points[:, :2] += rng.normal(0, 1, (len(points), 2)) * noise
        score = float(rng.random())
        keypoints = points.ravel().tolist()
        results.append({"image_id": annotation["image_id"], "category_id": 1, "keypoints": keypoints, "score": score})
    return results


class Oracle:
    """A network that knows the truth: it answers with the targets of the next batch, with flip once more mirrored."""

    def __init__(self, whole: Iterator[Fitted], task: BottomUp, flip: bool = False, exact: bool = True):
        self.whole, self.task, self.flip, self.exact, self.mirrored = whole, task, flip, exact, False

    def __call__(self, images: Tensor) -> list[Tensor]:
        if not self.mirrored:
            self.outputs = self.answers(next(self.whole)[0].joints, self.exact)
            self.mirrored = self.flip
            return self.outputs
        self.mirrored = False
        order = list(range(17))
        for a, b in self.task.flip_pairs:
            order[a], order[b] = b, a
        coarse, fine = (output.flip(-1) for output in self.outputs)
        return [torch.cat([coarse[:, :17][:, order], coarse[:, 17:][:, order]], 1), fine[:, order]]

    @staticmethod
    def answers(joints: Tensor, exact: bool) -> list[Tensor]:
        height, width = SIZE
        sizes = ((height // 4, width // 4), (height // 2, width // 2))
        (coarse, fine), _ = bottomup_targets(joints, SIZE, sizes, exact=exact)
        # At each place the tag of the person whose joint is nearest.
        grid = (
            torch.stack(torch.meshgrid(torch.arange(width // 4), torch.arange(height // 4), indexing="xy"), -1) * 4 + 2
        )
        far = (joints[..., None, None, :2] - grid).norm(dim=-1) + 1e6 * (joints[..., 2] == 0)[..., None, None]
        return [torch.cat([coarse, 3.0 * far.argmin(1)], 1), fine]


def test_perfect_results_score_one(people):
    scores = coco_ap(read_truth(people), literal_results(people))
    assert scores.ap == scores.ap50 == scores.ar == pytest.approx(1.0)


@pytest.mark.parametrize(("flip", "exact", "least"), [(False, True, 0.99), (True, True, 0.99), (False, False, 0.9)])
def test_a_network_that_knows_the_truth_scores_near_one(people, task, flip, exact, least):
    """Published targets forget where in its pixel a joint is, which costs a few hundredths at this size."""
    pictures = Pictures(people)
    net = Oracle(eval_batches(pictures, SIZE, 16), task, flip, exact)
    scores, results = evaluate(net, pictures, task, SIZE, 16, flip)
    assert scores.ap > least
    assert coco_ap(truth_at(people.annotations), results) == scores


@pytest.mark.parametrize("exact", [False, True])
def test_coordinates_are_not_a_fraction_of_a_pixel_off(people, task, exact):
    """The mean of the errors over all joints is far below a pixel, so nothing shifts them on the way."""
    pictures = Pictures(people)
    results = predict_batches(
        Oracle(eval_batches(pictures, SIZE), task, exact=exact), eval_batches(pictures, SIZE), task
    )
    records = {record.image_id: record for record in people.records}
    errors = []
    for result in results:
        found = np.array(result["keypoints"]).reshape(17, 3)
        for person in records[result["image_id"]].joints:
            both = (person[:, 2] > 0) & (found[:, 2] > 0.5)
            gap = found[both, :2] - person[both, :2]
            if len(gap) > 5 and np.abs(gap).max() < 3:
                errors.append(gap)
    gaps = np.concatenate(errors)
    assert len(gaps) > 500
    assert np.abs(gaps.mean(0)).max() < 0.06


def test_noise_scores_low(people, task):
    def noise(images: Tensor) -> list[Tensor]:
        rng = torch.Generator().manual_seed(len(images))
        return [torch.rand(len(images), 34, 32, 32, generator=rng), torch.rand(len(images), 17, 64, 64, generator=rng)]

    scores, results = evaluate(noise, Pictures(people), task, SIZE)
    assert len(results) > 100
    assert scores.ap < 0.02


def test_numbers_and_lines_are_those_of_pycocotools(people):
    results = literal_results(people, noise=2.5, missed=0.2)
    numbers, lines = judged_alone(json.loads(people.annotations.read_text()), results)
    scores = coco_ap(read_truth(people), results)
    assert 0.2 < scores.ap < 0.8
    assert list(scores) == numbers
    assert ten_lines(scores).split("\n") == lines
    assert coco_ap(truth_at(people.annotations), results) == scores
    assert "image_id" in results[0]
    assert "area" not in results[0]  # pycocotools would have written into our results


def test_nothing_found_is_zero(people):
    scores = coco_ap(read_truth(people), [])
    assert scores.ap == scores.ap50 == scores.ar == 0
    assert len(ten_lines(scores).split("\n")) == 10


def test_some_pictures_only(people, task):
    results = literal_results(people, noise=2.5, missed=0.2)
    ids = [record.image_id for record in people.records[3:17]]
    numbers, _ = judged_alone(json.loads(people.annotations.read_text()), results, ids=ids)
    some = read_truth(people._replace(records=people.records[3:17]))
    truth = read_truth(people)
    assert list(coco_ap(some, results)) == numbers != list(coco_ap(truth, results))
    rest, part = split(people, 0.3)
    assert set(read_truth(rest).image_ids) | set(read_truth(part).image_ids) == set(truth.image_ids)
    pictures = Pictures(people._replace(records=people.records[3:17]))
    scores, found = evaluate(Oracle(eval_batches(pictures, SIZE), task), pictures, task, SIZE)
    assert {result["image_id"] for result in found} <= set(ids)
    assert scores.ap > 0.9


def test_results_that_do_not_fit_are_refused(people):
    (result, *_) = literal_results(people)
    with pytest.raises(UserError, match="image 77, which the annotations do not list"):
        coco_ap(read_truth(people), [{**result, "image_id": 77}])
    with pytest.raises(UserError, match="3 numbers in 'keypoints', and 17 joints need 51"):
        coco_ap(read_truth(people), [{**result, "keypoints": [1, 2, 3]}])
    with pytest.raises(UserError, match="the task has 14 joints"):
        evaluate(lambda images: [], Pictures(people), BottomUp(14), SIZE)


def test_a_network_that_diverged(people, task):
    def nan(images: Tensor) -> list[Tensor]:
        return [torch.full((len(images), 34, 32, 32), torch.nan), torch.zeros(len(images), 17, 64, 64)]

    with pytest.raises(DivergedError, match="NaN"):
        evaluate(nan, Pictures(people), task, SIZE)


def test_areas_that_are_missing_and_a_number_zero(tmp_path):
    """Five joints, an annotation numbered 0 (which pycocotools takes for no match), boxes without areas."""
    names = ["nose", "left_eye", "right_eye", "left_hip", "right_hip"]
    points = [10.0, 10, 2, 12, 9, 2, 8, 9, 2, 14, 30, 2, 6, 30, 1]
    person = {"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 60, 60], "keypoints": points}
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 80, "height": 80}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": names, "skeleton": []}],
    }
    path = tmp_path / "few.json"
    path.write_text(json.dumps(document))
    truth = truth_at(path)
    assert truth.coco.anns[1]["area"] == pytest.approx(0.53 * 3600)
    assert truth.coco.anns[1]["num_keypoints"] == 5
    result = {"image_id": 1, "category_id": 1, "keypoints": points, "score": 1.0}
    assert coco_ap(truth, [result]).ap == pytest.approx(1.0)
    # OKS by hand: every joint 3 pixels off.
    sigmas = np.array([0.026, 0.025, 0.025, 0.107, 0.107])
    oks = np.exp(-9 / (2 * (2 * sigmas) ** 2 * 0.53 * 3600)).mean()
    off = np.array(points).reshape(5, 3) + np.array([3, 0, 0])
    scores = coco_ap(truth, [{**result, "keypoints": off.ravel().tolist()}])
    assert 0.5 < oks < 0.9
    assert scores.ap == pytest.approx((np.arange(0.5, 0.96, 0.05) <= oks).mean())


def test_a_module_gets_its_modes_back(people, task):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.coarse, self.fine = nn.Conv2d(3, 34, 4, 4), nn.Conv2d(3, 17, 2, 2)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, images: Tensor) -> list[Tensor]:
            assert not self.training
            assert not self.norm.training
            assert not torch.is_grad_enabled()
            seen.append(images.shape)
            images = self.norm(images)
            return [self.coarse(images), self.fine(images)]

    seen: list = []
    net = Net().train()
    net.fine.eval()
    before = net.norm.running_mean.clone()
    evaluate(net, Pictures(people), task, SIZE, batch=32, flip=True)
    assert [len(shape) for shape in seen] == [4] * 4
    assert [shape[0] for shape in seen] == [32, 32, 8, 8]
    assert net.training
    assert net.norm.training
    assert not net.fine.training
    assert torch.equal(net.norm.running_mean, before)


def test_bootstrap(people):
    truth = read_truth(people)
    results = literal_results(people, noise=2.5, missed=0.2)
    once = bootstrap_ap(truth, results)
    low, high = np.quantile(once, [0.025, 0.975])
    assert low < coco_ap(truth, results).ap < high
    assert 0.02 < high - low < 0.4
    assert once.std() > 0
    assert (bootstrap_ap(read_truth(people), results) == once).all()
    assert bootstrap_ap(truth, literal_results(people), resamples=5) == pytest.approx(1.0)
    assert (bootstrap_ap(truth, [], resamples=5) == 0).all()
    # The same draws for two networks: a better one is better in nearly all of them, though the intervals overlap.
    better = bootstrap_ap(truth, literal_results(people, noise=2.2, missed=0.2))
    assert np.quantile(better, 0.025) < high
    assert (better > once).mean() > 0.95


def test_a_bootstrap_against_its_literal_reading(people):
    """Pictures drawn twice are two pictures: copied with new numbers and judged from the start."""
    results = literal_results(people, noise=2.5, missed=0.2)
    document = json.loads(people.annotations.read_text())
    ids = sorted(image["id"] for image in document["images"])
    sample = bootstrap_ap(read_truth(people), results, resamples=2, seed=3)[1]
    rng = np.random.default_rng(3)
    rng.integers(len(ids), size=len(ids))
    found: list[dict] = []
    copies: list[dict] = []
    for number, place in enumerate(rng.integers(len(ids), size=len(ids)).tolist(), 1):
        mine = [dict(a, image_id=number) for a in document["annotations"] if a["image_id"] == ids[place]]
        copies += [dict(a, id=len(copies) + k) for k, a in enumerate(mine, 1)]
        found += [dict(r, image_id=number) for r in results if r["image_id"] == ids[place]]
    drawn = {
        "images": [{"id": number} for number in range(1, len(ids) + 1)],
        "annotations": copies,
        "categories": document["categories"],
    }
    assert sample == pytest.approx(judged_alone(drawn, found)[0][0])


def test_two_hundred_resamples_are_quick(people):
    began = time.process_time()
    bootstrap_ap(read_truth(people), literal_results(people, noise=2.0))
    assert time.process_time() - began < 5  # 40 pictures; measured: see benchmarks/loader.py for 150


def test_unfound_joints_stay_zero():
    found = np.array([[[3, 4, 0.5], [0, 0, 0]]], np.float32)
    warp = np.array([[2.0, 0, 10], [0, 2.0, 20]])
    assert evaluation.to_files(found, warp).tolist() == [[[-4, -8.5, 0.5], [0, 0, 0]]]
