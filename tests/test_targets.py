import json
from pathlib import Path

import numpy as np
import pytest
import torch

from litepose_nas.pose.targets import bottomup_targets, gaussian_heatmaps, joint_indices, scale_joints
from tests.helpers.literal_pose import literal_gaussians

GOLDEN = Path(__file__).parent / "golden"


def random_joints(pictures, people, joints, size, seed=0):
    """Joints in and around a map, some unlabelled, with places just outside every edge among them."""
    rng = np.random.default_rng(seed)
    values = np.concatenate(
        [rng.uniform(-6, size + 6, (pictures, people, joints, 2)), rng.integers(0, 3, (pictures, people, joints, 1))],
        -1,
    )
    values[0, 0, :6] = [[-0.6, 3, 2], [-1.0, 3, 2], [size, 5, 2], [size - 0.01, 5, 1], [4, -0.3, 1], [4, size + 0.2, 2]]
    return torch.from_numpy(values).float()


@pytest.mark.parametrize(("height", "width"), [(24, 24), (20, 33)])
def test_gaussians_equal_the_literal_rule(height, width):
    joints = random_joints(2, 5, 7, 24)
    fast = gaussian_heatmaps(joints, (height, width))
    for picture in range(2):
        np.testing.assert_allclose(fast[picture], literal_gaussians(joints[picture], height, width), rtol=2e-7, atol=0)


def test_other_sigmas():
    joints = random_joints(1, 3, 7, 24)
    for sigma in (1.0, 1.5, 3.0):
        slow = literal_gaussians(joints[0], 24, 24, sigma)
        np.testing.assert_allclose(gaussian_heatmaps(joints, (24, 24), sigma)[0], slow, rtol=2e-7, atol=0)


def test_the_centre_is_one_and_the_maximum_wins():
    joints = torch.tensor([[[[10.9, 7.2, 2]], [[12.0, 7.0, 1]]]])
    heat = gaussian_heatmaps(joints, (16, 32))[0, 0]
    assert heat[7, 10] == 1
    assert heat[7, 12] == 1
    assert heat[7, 11] == pytest.approx(np.exp(-1 / 8))
    assert heat[7, 19] == pytest.approx(np.exp(-49 / 8))  # the last pixel of the patch
    assert heat[7, 20] == 0  # a Gaussian would still be 3e-4 here: the patch ends


def test_more_than_thirty_people_count():
    joints = torch.full((1, 45, 3, 3), 2.0)
    joints[0, :, :, 0] = torch.arange(45)[:, None] * 2
    heat = gaussian_heatmaps(joints, (8, 96))
    assert (heat[0, :, 2, 0:90:2] == 1).all()
    index, seen = joint_indices(joints, (8, 96))
    assert seen.all()
    assert index[0, 44, 2] == 2 * 8 * 96 + 2 * 96 + 88


@pytest.mark.parametrize("people", [0, 3])
def test_nobody_and_nothing_visible_give_empty_targets(people):
    joints = torch.full((2, people, 4, 3), torch.nan)
    joints[..., 2] = 0
    heatmaps, (index, seen) = bottomup_targets(joints, (32, 32), ((8, 8), (16, 16)))
    assert [h.shape for h in heatmaps] == [(2, 4, 8, 8), (2, 4, 16, 16)]
    assert all((h == 0).all() for h in heatmaps)
    assert not seen.any()
    assert (index == 0).all()


def test_padding_people_changes_nothing():
    joints = random_joints(2, 4, 7, 24)
    padded = torch.cat([joints, torch.zeros(2, 3, 7, 3)], dim=1)
    assert torch.equal(gaussian_heatmaps(joints, (24, 24)), gaussian_heatmaps(padded, (24, 24)))


def test_indices_read_the_joint_that_was_drawn():
    joints = random_joints(2, 5, 7, 24)
    heat = gaussian_heatmaps(joints, (24, 24))
    index, seen = joint_indices(joints, (24, 24))
    read = heat.flatten(1).gather(1, index.flatten(1)).view(index.shape)
    assert seen.sum() > 10
    assert (read[seen] == 1).all()
    inside = (joints[..., 2] > 0) & (joints[..., :2] > -1).all(-1) & (joints[..., :2] < 24).all(-1)
    assert torch.equal(seen, inside)


def test_both_sizes_follow_the_input_size():
    joints = torch.tensor([[[[100.0, 60.0, 2.0]]]])
    heatmaps, (index, _) = bottomup_targets(joints, (128, 256), ((32, 64), (64, 128)))
    assert heatmaps[0][0, 0, 15, 25] == 1
    assert heatmaps[1][0, 0, 30, 50] == 1
    assert index.item() == 15 * 64 + 25
    assert scale_joints(joints, (128, 256), (32, 64)).flatten().tolist() == [25, 15, 2]


@pytest.mark.parametrize("joints", [14, 17])
@pytest.mark.parametrize("size", [64, 128])
def test_golden_targets(joints, size):
    data = np.load(GOLDEN / "targets.npz")
    placed = torch.from_numpy(data[f"joints{joints}_res{size}"])[None]
    np.testing.assert_array_equal(gaussian_heatmaps(placed, (size, size))[0], data[f"heat{joints}_res{size}_sigma2"])
    index, seen = joint_indices(placed, (size, size))
    table = np.zeros((30, joints, 2), dtype=np.int64)  # the reference writes a person's visible joints first
    for person in range(seen.shape[1]):
        visible = index[0, person][seen[0, person]]
        table[person, : len(visible)] = np.stack([visible, np.ones(len(visible))], 1)
    np.testing.assert_array_equal(table, data[f"tags{joints}_res{size}"])
    assert "more than 30 people raises" in json.dumps(
        json.loads((GOLDEN / "targets_losses.json").read_text())["targets"]["quirks"]
    )  # what test_more_than_thirty_people_count improves on


def test_exact_gaussians_stand_on_their_joints():
    rng = np.random.default_rng(0)
    joints = torch.tensor(rng.uniform(-2, 26, (2, 3, 4, 3)), dtype=torch.float32)
    joints[..., 2] = torch.tensor(rng.integers(0, 3, (2, 3, 4)))
    found = gaussian_heatmaps(joints, (20, 24), exact=True)
    rows, columns = np.arange(20)[:, None] + 0.5, np.arange(24)[None] + 0.5
    wanted = np.zeros((2, 4, 20, 24))
    for b, p, j in np.ndindex(2, 3, 4):
        x, y, flag = joints[b, p, j].double().tolist()
        if flag and 0 <= x < 24 and 0 <= y < 20:
            bell = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
            near = (abs(columns - int(x) - 0.5) <= 7) & (abs(rows - int(y) - 0.5) <= 7)
            wanted[b, j] = np.maximum(wanted[b, j], bell * near)
    assert found.numpy() == pytest.approx(wanted, abs=1e-5)
    middles = joints.clone()
    middles[..., :2] = middles[..., :2].trunc() + 0.5
    assert torch.allclose(
        gaussian_heatmaps(middles, (20, 24), exact=True), gaussian_heatmaps(joints, (20, 24)), atol=1e-6
    )
    joints[0, 0, 0] = torch.tensor([torch.nan, torch.nan, 0])
    assert gaussian_heatmaps(joints, (20, 24), exact=True).isfinite().all()
