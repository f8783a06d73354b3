"""Online: one frame of state, groups that begin and end, people who come and go, videos of any length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litepose_nas.errors import UserError
from litepose_nas.inference.online import Online, State, around, overlap
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.codecs import CODECS, encode
from litepose_nas.pose.temporal import Temporal
from litepose_nas.pose.topdown import TopDown

SIZE, MAPS, JOINTS = (64, 48), (16, 12), 5
# Where the joints of a person lie in its box, as shares of its sides; their extent is the box without its margin.
SHAPE = np.array([[0.5, 0.115], [0.115, 0.5], [0.885, 0.5], [0.3, 0.885], [0.7, 0.885]])
EACH = TopDown(JOINTS, sigmas=(0.05,) * JOINTS)


def scene(*boxes, height=100, width=160):
    """A grey picture in which every joint is a bright square; the boxes (N, 5) of its people."""
    image = np.full((height, width, 3), 60, np.uint8)
    for box in boxes:
        for x, y in np.array(box[:2]) + SHAPE * np.array(box[2:]):
            image[max(0, round(y) - 2) : round(y) + 3, max(0, round(x) - 2) : round(x) + 3] = 255
    return image, np.array([[*box, 0.9] for box in boxes], float).reshape(-1, 5)


def person(x, y=20.0, width=36.0, height=60.0):
    return (x, y, width, height)


class Seeing(torch.nn.Module):
    """Answers that the person fills the crop's middle, wherever that is; notes what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, images, before=None, place=0):
        self.asked.append((len(images), place, None if before is None else before.clone()))
        middle = np.array([SIZE[1], SIZE[0]]) / 2
        sides = np.array([SIZE[1], SIZE[0]]) / 1.25
        joints = torch.tensor(
            np.column_stack([middle + (SHAPE - 0.5) * sides, np.full(JOINTS, 2)]), dtype=torch.float32
        )
        maps, _ = encode(joints.repeat(len(images), 1, 1), SIZE, MAPS, CODECS["dark"])
        return (maps * 0.8,)


def online(frames=3, **how):
    task = Temporal(EACH, frames, **{key: how.pop(key) for key in ("crop",) if key in how}) if frames > 1 else EACH
    return Online(Seeing(), task, SIZE, **how)


def places(people):
    return [(one.track, one.place) for one in sorted(people, key=lambda one: one.track)]


def test_groups_begin_with_a_key_frame_and_hand_heatmaps_on():
    video = online()
    image, boxes = scene(person(20))
    for number in range(7):
        (found,) = video.step(image, boxes)
        assert (found.track, found.place) == (0, number % 3)
    asked = video.net.asked
    assert [place for _, place, _ in asked] == [0, 1, 2, 0, 1, 2, 0]
    assert [before is None for _, _, before in asked] == [True, False, False, True, False, False, True]
    assert torch.equal(asked[1][2][0], video.state.people[0].heatmaps)


def test_keypoints_are_those_of_the_picture():
    """The network sees the person in the middle of the crop, so the joints lie in the box as SHAPE says."""
    image, boxes = scene((50.0, 25.0, 30.0, 40.0))
    (found,) = online().step(image, boxes)
    middle = np.array([65.0, 45.0])
    np.testing.assert_allclose(
        found.keypoints[:, :2].mean(0) + 0.5, middle + (SHAPE.mean(0) - 0.5) * 40 * np.array([0.75, 1]), atol=0.5
    )
    assert found.score == pytest.approx(0.9 * 0.8, abs=0.05)
    assert found.box == tuple(boxes[0])


def test_people_come_and_go_and_keep_their_numbers():
    video = online()
    one, two, three = person(10), person(60), person(110)
    assert places(video.step(*scene(one))) == [(0, 0)]
    assert places(video.step(*scene(one, two))) == [(0, 1), (1, 0)]
    assert places(video.step(*scene(two))) == [(1, 1)]
    assert places(video.step(*scene(three, two))) == [(1, 2), (2, 0)]
    assert places(video.step(*scene())) == []
    assert places(video.step(*scene(one))) == [(3, 0)]
    assert video.state.next_track == 4


def test_a_group_looks_where_its_key_frame_did_and_the_next_where_the_box_is():
    video = online()
    for number, x in enumerate((20, 24, 28, 32)):
        (found,) = video.step(*scene(person(x)))
        assert found.track == 0
        assert found.box[0] == (20 if number < 3 else 32)


def test_crops_can_follow_the_last_pose():
    video = online(crop="previous")
    image, boxes = scene(person(20))
    video.step(image, boxes)
    (found,) = video.step(image, boxes + np.array([4, 0, 0, 0, 0]))
    own = around(video.state.people[0].keypoints, 0.2)
    assert found.place == 1
    assert found.box[0] != 24
    np.testing.assert_allclose(found.box[0] + found.box[2] / 2, 38, atol=1)
    assert own is not None


def test_nobody_looked_so_everybody_is_followed_by_the_last_pose():
    video = online()
    image, boxes = scene(person(20), person(100))
    video.step(image, boxes)
    for number in range(1, 6):
        assert places(video.step(image)) == [(0, number % 3), (1, number % 3)]
    assert video.net.asked[-1][0] == 2  # both in one batch


def test_whoever_is_not_found_again_has_left():
    video = online(least_score=0.5)
    image, boxes = scene(person(20), person(100))
    boxes[1, 4] = 0.3
    assert len(video.step(image, boxes)) == 2  # who has a box is there
    assert places(video.step(image)) == [(0, 1)]
    assert places(video.step(image)) == [(0, 2)]


def test_two_who_have_become_one_are_one():
    video = online()
    image, boxes = scene(person(20), person(22))
    assert len(video.step(image, boxes)) == 2
    assert len(video.step(image)) == 1


def test_the_first_frame_without_boxes_is_one_person():
    image, _ = scene(person(20))
    (found,) = online().step(image)
    assert found.box == (0.0, 0.0, 160.0, 100.0, 1.0)


def test_nobody_is_nobody():
    video = online()
    image, none = scene()
    assert video.step(image, none) == []
    video.state = State((), 3)
    assert video.step(image) == []  # everybody has left: the whole picture is not a person again


def test_who_is_who_can_be_told():
    video = online()
    image, boxes = scene(person(20), person(100))
    assert places(video.step(image, boxes, [7, 4])) == [(4, 0), (7, 0)]
    assert places(video.step(image, boxes[::-1].copy(), [7, 4])) == [(4, 1), (7, 1)]  # far away, and still themselves
    assert places(video.step(image, boxes[:1], [9])) == [(9, 0)]
    assert video.state.next_track == 10
    with pytest.raises(UserError, match="one number for each box"):
        video.step(image, boxes, [1])


def test_going_on_elsewhere_is_going_on():
    """All that is remembered is the state: stopped after any frame, the rest of the video is the same."""
    video = [scene(person(20 + 2 * t), person(90 - 2 * t)) for t in range(7)]
    whole = online()
    wanted = [whole.step(*frame) for frame in video]
    for cut in range(1, 7):
        first = online()
        for frame in video[:cut]:
            first.step(*frame)
        second = online(state=first.state)
        for number, frame in enumerate(video[cut:], cut):
            for one, other in zip(second.step(*frame), wanted[number], strict=True):
                assert (one.track, one.place, one.box) == (other.track, other.place, other.box)
                assert np.array_equal(one.keypoints, other.keypoints)
                assert torch.equal(one.heatmaps, other.heatmaps)


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_videos_of_any_length(frames, length):
    video = online(frames)
    for number in range(length):
        (found,) = video.step(*scene(person(20)))
        assert found.place == number % frames
    assert len(video.net.asked) == length


def test_a_network_of_single_frames_sees_only_key_frames():
    video = online(1)
    for x in (20, 30, 40):
        (found,) = video.step(*scene(person(x)))
        assert (found.track, found.place, found.box[0]) == (0, 0, x)
    assert all(before is None for _, _, before in video.net.asked)


def test_boxes_outside_the_picture_are_nobody():
    image, boxes = scene(person(20))
    far = np.vstack([boxes, [500.0, 500.0, 20.0, 20.0, 0.9]])
    assert len(online().step(image, far)) == 1


def test_a_network_of_whole_pictures_follows_nobody():
    with pytest.raises(UserError, match="follow"):
        Online(Seeing(), BottomUp(JOINTS), SIZE)


def test_eval_mode_and_no_gradients():
    video = online()
    assert not video.net.training
    (found,) = video.step(*scene(person(20)))
    assert not found.heatmaps.requires_grad


def test_boxes_around_joints():
    joints = np.array([[10, 20, 0.9], [30, 60, 0.8], [20, 40, 0.7], [500, 500, 0.1]])
    assert around(joints, 0.2) == pytest.approx((7.0, 14.0, 26.0, 52.0))
    assert around(joints[:2], 0.2) is None


def test_overlap():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 10, 10)) == 0
