"""Augmentation: a joint stays on the pixel it was drawn on, whatever the map; maps undo each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from litepose_nas.data import augment as aug
from litepose_nas.data.augment import BORDER, Augment

STILL = Augment(rotation=0, scale=(1, 1), translate=0, flip=0, colour=0)


def dot(size: tuple[int, int], x: float, y: float, spread: float = 3.0) -> np.ndarray:
    """A soft white dot on the border's colour; x and y are continuous."""
    rows, columns = np.arange(size[0])[:, None] + 0.5, np.arange(size[1])[None] + 0.5
    bell = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2))[..., None]
    return np.rint(np.array(BORDER) * (1 - bell) + 255 * bell).astype(np.uint8)


def centroid(picture: np.ndarray) -> tuple[float, float]:
    weight = np.abs(picture.astype(float) - BORDER).sum(-1)
    rows, columns = np.arange(picture.shape[0]) + 0.5, np.arange(picture.shape[1]) + 0.5
    return weight.sum(0) @ columns / weight.sum(), weight.sum(1) @ rows / weight.sum()


@pytest.mark.parametrize(("record", "size"), [((120, 160), (128, 96)), ((200, 150), (64, 64)), ((400, 300), (96, 128))])
def test_a_dot_lands_where_its_joint_says(record, size):
    rng = np.random.default_rng(1)
    checked = 0
    for _ in range(60):
        warp, flipped = aug.draw_warp(rng, record, size, Augment())
        x, y = rng.uniform(0.2, 0.8, 2) * (record[1], record[0])
        joints = aug.warp_joints(np.array([[[x, y, 2]]], np.float32), warp, [0] if flipped else None)
        there = joints[0, 0, :2]
        zoom = math.sqrt(abs(np.linalg.det(warp[:, :2])))
        if (there < 16).any() or (there > np.array(size[::-1]) - 16).any():
            continue  # the border would cut the dot and move its middle
        picture = aug.warp_picture(dot(record, x, y, 2.5 / zoom), warp, size)
        assert centroid(picture) == pytest.approx(tuple(there), abs=0.1), (warp, x, y)
        checked += 1
    assert checked >= 10


def test_a_dot_in_a_fitted_picture_is_exact_to_a_twentieth_of_a_pixel():
    for record, size in (
        ((100, 100), (100, 100)),
        ((100, 100), (50, 50)),
        ((80, 160), (120, 120)),
        ((500, 400), (64, 96)),
    ):
        zoom = min(size[0] / record[0], size[1] / record[1])
        warp = aug.fit_warp(record, size)
        x, y = record[1] * 0.4, record[0] * 0.55
        there = aug.warp_joints(np.array([[[x, y, 1]]], np.float32), warp)[0, 0, :2]
        assert centroid(aug.warp_picture(dot(record, x, y, 2.5 / zoom), warp, size)) == pytest.approx(
            tuple(there), abs=0.05
        )


def test_no_map_leaves_a_picture_alone():
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    warp, flipped = aug.draw_warp(np.random.default_rng(0), (40, 60), (40, 60), STILL)
    assert not flipped
    assert (aug.warp_picture(picture, warp, (40, 60)) == picture).all()
    mirrored, flipped = aug.draw_warp(np.random.default_rng(0), (40, 60), (40, 60), STILL._replace(flip=1))
    assert flipped
    assert (aug.warp_picture(picture, mirrored, (40, 60)) == picture[:, ::-1]).all()


def test_two_flips_are_none():
    joints = np.random.default_rng(0).uniform(0, 40, (3, 5, 3)).astype(np.float32)
    joints[..., 2] = 2
    mirror = (0, 2, 1, 4, 3)
    warp, _ = aug.draw_warp(np.random.default_rng(0), (40, 60), (40, 60), STILL._replace(flip=1))
    once = aug.warp_joints(joints, warp, mirror)
    assert once[0, 1] == pytest.approx([60 - joints[0, 2, 0], joints[0, 2, 1], 2])
    assert aug.warp_joints(once, warp, mirror) == pytest.approx(joints, abs=1e-4)


def test_a_map_and_its_inverse_are_none():
    rng = np.random.default_rng(2)
    for _ in range(20):
        warp, _ = aug.draw_warp(rng, (120, 90), (64, 96), Augment())
        joints = rng.uniform(0, 90, (4, 3, 3)).astype(np.float32)
        there = aug.warp_joints(joints, warp)
        assert aug.warp_joints(there, aug.invert(warp)) == pytest.approx(joints, abs=1e-3)


def test_unlabelled_joints_are_zero():
    joints = np.array([[[5, 6, 0], [5, 6, 1]]], np.float32)
    warp = aug.fit_warp((10, 10), (20, 20))
    assert aug.warp_joints(joints, warp).tolist() == [[[0, 0, 0], [10, 12, 1]]]


def test_a_fitted_picture_is_whole_and_in_the_middle():
    warp = aug.fit_warp((50, 100), (128, 128))
    corners = aug.warp_joints(np.array([[[0, 0, 1], [100, 50, 1]]], np.float32), warp)[0, :, :2]
    assert corners.tolist() == [[0, 32], [128, 96]]
    fitted = aug.warp_picture(np.zeros((50, 100, 3), np.uint8), warp, (128, 128))
    assert (fitted[:31] == BORDER).all()
    assert (fitted[33:95, 1:127] == 0).all()


def test_each_setting_keeps_its_range():
    rng = np.random.default_rng(3)
    middle = np.array([[[40, 30, 1]]], np.float32)  # of a picture of (60, 80)
    shifts, angles, sides, flips = [], [], [], []
    for _ in range(300):
        shifts.append(
            aug.warp_joints(middle, aug.draw_warp(rng, (60, 80), (96, 96), STILL._replace(translate=0.1))[0])[0, 0, :2]
        )
        turn = aug.draw_warp(rng, (60, 80), (96, 96), STILL._replace(rotation=30))[0]
        angles.append(math.degrees(math.atan2(turn[1, 0], turn[0, 0])))
        sides.append(96 / 60 / aug.draw_warp(rng, (60, 80), (96, 96), STILL._replace(scale=(0.75, 1.5)))[0][0, 0])
        flips.append(aug.draw_warp(rng, (60, 80), (96, 96), STILL._replace(flip=0.5))[1])
    assert np.abs(np.array(shifts) - 48).max() == pytest.approx(9.6, rel=0.05)
    assert max(angles) == pytest.approx(30, rel=0.05)
    assert min(angles) == pytest.approx(-30, rel=0.05)
    assert (min(sides), max(sides)) == pytest.approx((0.75, 1.5), rel=0.03)
    assert 0.4 < np.mean(flips) < 0.6


def test_a_mask_goes_where_its_pixels_go():
    rng = np.random.default_rng(4)
    mask = np.zeros((80, 60), bool)
    mask[20:50, 10:40] = True
    picture = np.where(mask[..., None], 255, BORDER).astype(np.uint8)
    for _ in range(10):
        warp, _ = aug.draw_warp(rng, mask.shape, (72, 88), Augment())
        seen = aug.warp_picture(picture, warp, (72, 88)).astype(int).sum(-1) > (255 * 3 + sum(BORDER)) / 2
        assert (aug.warp_mask(mask, warp, (72, 88)) != seen).mean() < 0.03  # the two round edges differently


def test_colours():
    rng = np.random.default_rng(5)
    picture = rng.integers(0, 256, (8, 8, 3), np.uint8)
    assert (aug.change_colours(picture, aug.draw_colours(rng, STILL)) == picture).all()
    changed = [aug.change_colours(picture, aug.draw_colours(rng, Augment(colour=0.3))).mean() for _ in range(50)]
    assert 0.65 < min(changed) / picture.mean() < 0.95
    assert 1.05 < max(changed) / picture.mean() < 1.35
