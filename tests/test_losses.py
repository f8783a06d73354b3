import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from litepose_nas.errors import UserError
from litepose_nas.pose.losses import PUSHES, LossSettings, bottomup_loss, heatmap_loss, tag_loss
from litepose_nas.pose.targets import bottomup_targets, joint_indices
from tests.helpers.literal_pose import literal_tag_loss

GOLDEN = Path(__file__).parent / "golden"

PRICES = {
    "exp": lambda d: math.exp(-d * d),
    "hinge": lambda d: max(0.0, 1 - abs(d)),
    "wide_hinge": lambda d: max(0.0, 1 - abs(d) / 2) ** 2,
    "log": lambda d: max(0.0, -math.log(abs(d) / 2 + 0.05)),
}


def random_case(pictures=4, people=6, joints=5, size=12, seed=0):
    """Tags and joints with an empty picture and a picture of one person among them."""
    rng = np.random.default_rng(seed)
    places = np.concatenate(
        [rng.uniform(-2, size + 2, (pictures, people, joints, 2)), rng.integers(0, 3, (pictures, people, joints, 1))],
        -1,
    )
    places[0, :, :, 2] = 0
    places[1, 1:, :, 2] = 0
    tags = rng.normal(0, 1, (pictures, joints, size, size))
    return torch.from_numpy(tags), torch.from_numpy(places)


@pytest.mark.parametrize("push", PRICES)
def test_tag_loss_equals_the_literal_loops(push):
    tags, joints = random_case()
    got_push, got_pull = tag_loss(tags, *joint_indices(joints, (12, 12)), push)
    for picture in range(len(tags)):
        want_push, want_pull = literal_tag_loss(tags[picture], joints[picture], PRICES[push])
        assert got_push[picture].item() == pytest.approx(want_push, rel=1e-12)
        assert got_pull[picture].item() == pytest.approx(want_pull, rel=1e-12)
    assert got_push[2] > 0
    assert got_pull[0] == got_push[0] == got_push[1] == 0


def test_spread_is_the_deviation_of_people_against_that_of_a_row_two_apart():
    tags, joints = random_case()
    got = tag_loss(tags, *joint_indices(joints, (12, 12)), "spread")[0]
    flat = tags[2].flatten()
    index, seen = (part[2] for part in joint_indices(joints, (12, 12)))
    means = np.array([flat[i[s]].mean().item() for i, s in zip(index, seen, strict=True) if s.any()])
    wanted = np.std(2.0 * np.arange(len(means)))
    assert got[2].item() == pytest.approx(max(0.0, 1 - means.std() / wanted), rel=1e-6)
    assert got[0] == got[1] == 0


@pytest.mark.parametrize("push", PUSHES)
def test_every_push_is_gone_far_apart_and_pushes_apart(push):
    index, seen = torch.tensor([[[0], [1]]]), torch.ones(1, 2, 1, dtype=torch.bool)

    def loss(distance):
        tags = torch.tensor([0.0, distance], dtype=torch.float64, requires_grad=True)
        value = tag_loss(tags.view(1, 1, 1, 2), index, seen, push)[0].sum()
        return value.item(), torch.autograd.grad(value, tags)[0].tolist()

    assert loss(6.0)[0] < 1e-12
    assert loss(0.5)[1][0] > 0.05  # descending, the left tag goes left
    assert loss(0.5)[1][1] == pytest.approx(-loss(0.5)[1][0])
    assert loss(0.1)[0] > loss(0.5)[0] > loss(0.9)[0]


def largest_gradient(push, noise):
    """The strength with which two of four people whose tags nearly coincide are pushed, at the best."""
    tags = noise * torch.tensor([-1.0, 0.4, 1.3, 2.0], dtype=torch.float64)
    tags.requires_grad_()
    index, seen = torch.arange(4).view(1, 4, 1), torch.ones(1, 4, 1, dtype=torch.bool)
    value = tag_loss(tags.view(1, 1, 2, 2), index, seen, push)[0].sum()
    return torch.autograd.grad(value, tags)[0].abs().max().item()


def test_the_published_push_dies_where_tags_coincide_and_the_remedies_do_not():
    for noise in (1e-3, 1e-5):
        published = largest_gradient("exp", noise)
        # Each of 3 neighbours gives 2 d exp(-d^2) / (n (n - 1)): in proportion to the noise.
        assert published < 2 * noise
        for push in ("hinge", "wide_hinge", "log", "spread"):
            assert largest_gradient(push, noise) > 0.1, push
            assert largest_gradient(push, noise) > 50 * published, push


def test_masked_heatmap_loss_is_the_mean_over_everything():
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.rand(2, 3, 4, 5, generator=generator), torch.rand(2, 3, 4, 5, generator=generator)
    mask = torch.ones(2, 4, 5)
    mask[0, 1:3] = 0
    want = [((prediction[i].double() - target[i]) ** 2 * mask[i]).sum().item() / 60 for i in range(2)]
    assert heatmap_loss(prediction, target, mask).tolist() == pytest.approx(want, rel=1e-6)
    assert heatmap_loss(prediction, target).tolist()[1] == pytest.approx(want[1], rel=1e-6)
    prediction.requires_grad_()
    heatmap_loss(prediction, target, mask).sum().backward()
    assert (prediction.grad[0, :, 1:3] == 0).all()
    assert (prediction.grad[0, :, 0] != 0).all()


def whole_case(people=3):
    generator = torch.Generator().manual_seed(1)
    joints = torch.rand(2, people, 5, 3, generator=generator) * 32
    outputs = [torch.randn(2, 10, 8, 8, generator=generator), torch.randn(2, 5, 16, 16, generator=generator)]
    return [output.requires_grad_() for output in outputs], bottomup_targets(joints, (32, 32), ((8, 8), (16, 16)))


def test_total_is_the_weighted_sum_of_the_parts():
    outputs, (heatmaps, indices) = whole_case()
    settings = LossSettings(push="hinge", push_weight=0.5, pull_weight=0.25, heatmap_weight=2.0)
    loss = bottomup_loss(outputs, heatmaps, [None, None], indices, settings)
    assert loss.total.item() == pytest.approx(
        2 * loss.heatmap.item() + 0.5 * loss.push.item() + 0.25 * loss.pull.item(), rel=1e-6
    )
    each = [heatmap_loss(o[:, :5], h).mean().item() for o, h in zip(outputs, heatmaps, strict=True)]
    assert loss.heatmap.item() == pytest.approx(sum(each), rel=1e-6)


def test_the_cue_moves_tags_by_the_place_they_are_read():
    index, seen = torch.tensor([[[3], [4]]]), torch.ones(1, 2, 1, dtype=torch.bool)
    outputs = [torch.zeros(1, 2, 4, 8), torch.zeros(1, 1, 8, 16)]
    heatmaps = [torch.zeros(1, 1, 4, 8), torch.zeros(1, 1, 8, 16)]
    loss = bottomup_loss(outputs, heatmaps, [None, None], (index, seen), LossSettings(tag_cue=(4.0, 0.0)))
    assert loss.push.item() == pytest.approx(0.5 * math.exp(-0.25), rel=1e-6)  # neighbours in a row of 8: 4 / 8 apart


@pytest.mark.parametrize("push", PUSHES)
def test_nobody_costs_nothing_and_has_a_gradient(push):
    outputs, (heatmaps, indices) = whole_case(people=0)
    loss = bottomup_loss(outputs, heatmaps, [None, None], indices, LossSettings(push=push))
    loss.total.backward()
    assert loss.push == loss.pull == 0
    assert (outputs[0].grad[:, 5:] == 0).all()
    assert outputs[0].grad[:, :5].abs().sum() > 0


@pytest.mark.parametrize("push", PUSHES)
def test_one_person_and_equal_tags_have_finite_gradients(push):
    outputs, (heatmaps, indices) = whole_case(people=1)
    bottomup_loss(outputs, heatmaps, [None, None], indices, LossSettings(push=push)).total.backward()
    assert outputs[0].grad.isfinite().all()
    outputs, (heatmaps, indices) = whole_case(people=4)
    equal = torch.zeros(2, 10, 8, 8, requires_grad=True)
    bottomup_loss([equal, outputs[1]], heatmaps, [None, None], indices, LossSettings(push=push)).total.backward()
    assert equal.grad.isfinite().all()


def test_half_precision_outputs_are_measured_in_float32():
    outputs, (heatmaps, indices) = whole_case()
    full = bottomup_loss([o.detach().bfloat16().float() for o in outputs], heatmaps, [None, None], indices)
    half = bottomup_loss([o.detach().bfloat16() for o in outputs], heatmaps, [None, None], indices)
    assert half.total.dtype == torch.float32
    assert half.total == full.total


def test_an_unknown_push_names_the_nearest():
    tags, joints = random_case()
    with pytest.raises(UserError, match="hinge"):
        tag_loss(tags, *joint_indices(joints, (12, 12)), "hing")


def hash01(name, count):
    """The reference data's formula for inputs: uniform numbers from a 32-bit mix of the position and a name."""
    mask = np.uint64(0xFFFFFFFF)
    x = (np.arange(count, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()))) & mask
    for shift, factor in ((None, 0x9E3779B1), (16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = x ^ (x >> np.uint64(shift)) if shift else x
        x = x * np.uint64(factor) & mask
    return (x ^ (x >> np.uint64(16))) / 2**32


def test_golden_losses():
    folder = GOLDEN
    data, targets = np.load(folder / "losses.npz"), np.load(folder / "targets.npz")
    want = json.loads((folder / "targets_losses.json").read_text())["losses"]
    shapes = {"loss.out0": (4, 28, 64, 64), "loss.out1": (4, 14, 128, 128)}
    outputs = [
        torch.from_numpy((2 * hash01(name, math.prod(shape)) - 1).reshape(shape).astype(np.float32)).requires_grad_()
        for name, shape in shapes.items()
    ]
    heatmaps = [torch.from_numpy(targets[f"heat14_res{size}_sigma2"])[None].repeat(4, 1, 1, 1) for size in (64, 128)]
    masks = [torch.from_numpy(data[f"mask_res{size}"]).float() for size in (64, 128)]
    table = torch.from_numpy(data["joints_res64"]).long()
    indices = (table[..., 0], table[..., 1] > 0)
    loss = bottomup_loss(outputs, heatmaps, masks, indices)
    loss.total.backward()
    assert loss.total.item() == pytest.approx(want["total"], rel=1e-6)
    for output, heat, mask, per_image in zip(
        outputs, heatmaps, masks, want["MultiLossFactory"]["heatmap_per_image"], strict=True
    ):
        assert heatmap_loss(output[:, :14], heat, mask).tolist() == pytest.approx(per_image, rel=1e-6)
    assert [output.grad.norm().item() for output in outputs] == pytest.approx(want["grad_norms"], rel=1e-6)
    np.testing.assert_allclose(outputs[0].grad[:, 14:], data["grad_out0_tags"], rtol=0, atol=1e-11)
    np.testing.assert_allclose(outputs[0].grad[1, :3], data["grad_out0_heat_img1"], rtol=0, atol=1e-11)
    for push, name in (("exp", "AELoss_exp"), ("hinge", "AELoss_max")):
        got = tag_loss(outputs[0][:, 14:].double(), *indices, push)
        assert [part.mean().item() for part in got] == pytest.approx(want[name]["batch_push_pull_float64"], rel=1e-6)
        per_image = torch.stack(tag_loss(outputs[0][:, 14:], *indices, push), 1)
        np.testing.assert_allclose(per_image.detach(), want[name]["per_image_push_pull"], rtol=1e-6)
