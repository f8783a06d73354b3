"""Shifts between two lists of results, and losses with intervals, on people whose places are known."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from litepose_nas import UserError
from litepose_nas.data.source import open_source
from litepose_nas.inference.shifts import shifts_between
from litepose_nas.metrics.coco import coco_ap, read_truth
from litepose_nas.metrics.paired import figure_of, loss_between
from litepose_nas.synthetic.dataset import write_toy


def person(image, x, y, size=40.0, score=0.9, dx=0.0):
    draw = np.random.default_rng(int(x + y))
    joints = np.column_stack([x + dx + size * draw.random(9), y + size * draw.random(9), np.ones(9)])
    return {"image_id": image, "category_id": 1, "keypoints": joints.ravel().tolist(), "score": score}


def test_the_same_people_do_not_move():
    people = [person(1, 0, 0), person(1, 100, 0), person(2, 0, 0)]
    found = shifts_between(people, people[::-1])
    assert (found.people, found.missing, found.extra, found.median_px, found.p95_px) == (3, 0, 0, 0.0, 0.0)


@given(dx=st.floats(0.01, 5), others=st.integers(0, 5))
def test_a_move_is_measured_and_who_is_gone_or_new_is_counted(dx, others):
    before = [person(1, 0, 0), person(1, 100, 0)]
    after = [person(1, 100, 0, dx=dx), person(1, 0, 0, dx=dx), *(person(2, 200 * i, 0) for i in range(others))]
    found = shifts_between([*before, person(3, 50, 50)], after)
    assert found.median_px == pytest.approx(dx)
    assert (found.people, found.missing, found.extra) == (3, 1, others)
    assert found.worst == (2 if others else 3)


def test_whoever_is_not_sure_does_not_count():
    found = shifts_between([person(1, 0, 0, score=0.05)], [])
    assert (found.people, found.missing, found.worst) == (0, 0, None)
    assert np.isnan(found.median_px)


def test_a_person_far_away_is_another_one():
    found = shifts_between([person(1, 0, 0)], [person(1, 0, 0, dx=30)])
    assert (found.missing, found.extra) == (1, 1)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_toy(folder, 1, 30, 64, 0, "easy")
    return open_source(str(folder)).read("val")


def results(dataset, noise, keep=1.0, seed=0):
    draw = np.random.default_rng(seed)
    found = []
    for record in dataset.records:
        for joints in record.joints:
            if draw.random() < keep:
                moved = np.array(joints, float)
                moved[:, :2] += noise * draw.standard_normal((len(joints), 2))
                points = moved.ravel().tolist()
                found.append({"image_id": record.image_id, "category_id": 1, "keypoints": points, "score": 0.9})
    return found


@pytest.mark.parametrize("name", ["ap", "pck", "nme"])
def test_a_loss_is_the_difference_and_lies_in_its_interval(name, people):
    dataset = people._replace(skeleton=people.skeleton._replace(nme_joints=(5, 12)))
    figure, good, bad = figure_of(dataset, name), results(dataset, 0.3), results(dataset, 3.0, 0.8)
    loss = loss_between(figure, good, bad)
    sign = 1 if figure.more_is_better else -1
    assert loss.points == pytest.approx(sign * (figure.points(good) - figure.points(bad)))
    assert 0 < loss.low < loss.points < loss.high
    assert loss_between(figure, good, good)[:3] == (0.0, 0.0, 0.0)
    back = loss_between(figure, bad, good)
    assert (back.low, back.high) == pytest.approx((-loss.high, -loss.low))


def test_the_ap_is_that_of_pycocotools(people):
    found = results(people, 2.0)
    assert figure_of(people).points(found) == pytest.approx(100 * coco_ap(read_truth(people), found).ap)


def test_the_nme_of_a_face_that_nobody_found_is_its_size(people):
    dataset = people._replace(skeleton=people.skeleton._replace(nme_joints=(5, 12)))
    figure = figure_of(dataset)
    assert figure.name == "NME"
    assert figure.points([]) == 100.0
    assert figure.points(results(dataset, 0.0)) == pytest.approx(0.0, abs=1e-4)


def test_a_figure_of_joints_that_nobody_has_is_refused(tmp_path):
    made = write_toy(tmp_path / "people", 1, 2, 64, 0, "easy")
    whole = open_source(str(made.folder)).read("val")
    file = whole.annotations
    told = json.loads(file.read_text())
    for one in told["annotations"]:
        one["keypoints"][2] = 0  # the nose
    file.write_text(json.dumps(told))
    dataset = open_source(str(made.folder)).read("val")
    dataset = dataset._replace(skeleton=dataset.skeleton._replace(nme_joints=(0, 1)))
    with pytest.raises(UserError, match="has the joints labelled that the NME needs"):
        figure_of(dataset)
    assert figure_of(dataset, "pck").points([]) == 0
