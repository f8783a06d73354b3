"""Codecs: what is encoded comes back, whatever the codec, the size or the shape; mirrored twice is as before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas.errors import UserError
from litepose_nas.pose.codecs import CODECS, corners, decode_heatmaps, encode, ends, middles, mirrored_back, named_codec

LIMIT = {"plain": 0.5, "udp": 0.0, "dark": 0.0}  # how far a joint may be off on each axis, in pixels of the heatmap
ERROR = 0.02  # beyond that
SIZES = st.tuples(st.integers(5, 50), st.integers(5, 50))


def grids(codec, input_size, size):
    return [CODECS[codec].grid(length, count) for length, count in zip(input_size[::-1], size[::-1], strict=True)]


@settings(max_examples=300)
@given(
    codec=st.sampled_from(sorted(CODECS)),
    size=SIZES,
    stride=st.sampled_from([1, 2, 3.7, 4, 8]),
    share=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5),
    sigma=st.sampled_from([1.5, 2.0, 3.0]),
)
def test_what_is_encoded_comes_back(codec, size, stride, share, sigma):
    """Every joint between the middles of the outermost pixels, in inputs that the heatmap divides or not."""
    input_size = tuple(round(count * stride) for count in size)
    x, y = grids(codec, input_size, size)
    places = [(x[0] + x[1] * (size[1] - 1) * across, y[0] + y[1] * (size[0] - 1) * down) for across, down in share]
    joints = torch.tensor([[(*place, 2.0) for place in places]])
    heatmaps, asked = encode(joints, input_size, size, CODECS[codec], sigma)
    assert asked.all()
    found = decode_heatmaps(heatmaps, input_size, CODECS[codec])
    off = (found[..., :2] - joints[..., :2]).abs() / torch.tensor([x[1], y[1]])
    assert off.max() <= LIMIT[codec] + ERROR
    assert found[..., 2].min() > 0.5


@pytest.mark.parametrize("codec", CODECS)
def test_a_joint_in_the_outermost_half_pixel_comes_back(codec):
    """A codec that answers between pixels answers beyond the middle of the last one, too."""
    size, input_size = (16, 12), (64, 48)
    x, y = grids(codec, input_size, size)
    for beyond in (0.1, 0.3, 0.49):
        place = (x[0] + x[1] * (11 + beyond), y[0] - y[1] * beyond)
        joints = torch.tensor([[[*place, 1.0]]])
        found = decode_heatmaps(*_maps(joints, input_size, size, codec))
        off = (found[..., :2] - joints[..., :2]).abs() / torch.tensor([x[1], y[1]])
        assert off.max() <= LIMIT[codec] + ERROR


def _maps(joints, input_size, size, codec):
    return encode(joints, input_size, size, CODECS[codec])[0], input_size, CODECS[codec]


@settings(max_examples=60)
@given(size=SIZES, codec=st.sampled_from(sorted(CODECS)), seed=st.integers(0, 99))
def test_mirrored_twice_is_the_same(size, codec, seed):
    mirror = [0, 2, 1]
    maps = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(seed))
    still = CODECS[codec]._replace(shift=False)
    assert torch.equal(mirrored_back(mirrored_back(maps, mirror, still), mirror, still), maps)
    moved = mirrored_back(maps, mirror, CODECS["plain"])
    assert torch.equal(moved[..., 1:], maps.flip(-1)[:, mirror][..., :-1])
    assert torch.equal(moved[..., 0], maps.flip(-1)[:, mirror][..., 0])


def pair(size, codec, share):
    """A joint's place across and down as shares of the heatmap, in a picture and in the mirrored one."""
    input_size = (4 * size[0], 4 * size[1])
    x, y = grids(codec, input_size, size)
    place = (x[0] + x[1] * (size[1] - 1) * share[0], y[0] + y[1] * (size[0] - 1) * share[1])
    return torch.tensor([[(*place, 2.0)], [(input_size[1] - place[0], place[1], 2.0)]]), input_size


@settings(max_examples=100)
@given(size=SIZES, codec=st.sampled_from(["dark", "udp"]), share=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_mirrored_picture_has_its_joint_in_the_same_place(size, codec, share):
    joints, input_size = pair(size, codec, share)
    heatmaps, _ = encode(joints, input_size, size, CODECS[codec])
    torch.testing.assert_close(mirrored_back(heatmaps[1:], [0], CODECS[codec]), heatmaps[:1], atol=1e-4, rtol=0)


# Away from the left edge, for the shift repeats the first column.
@settings(max_examples=50)
@given(size=st.tuples(st.integers(5, 50), st.integers(24, 50)), share=st.tuples(st.floats(0.4, 0.8), st.floats(0, 1)))
def test_the_published_grid_needs_the_shift(size, share):
    """A quarter of a pixel is left of three quarters."""
    exact = CODECS["plain"]._replace(whole=False)  # the joint itself, without the nearest pixel's half
    joints, input_size = pair(size, "plain", share)
    heatmaps, _ = encode(joints, input_size, size, exact)
    unshifted, shifted = (mirrored_back(heatmaps[1:], [0], exact._replace(shift=shift)) for shift in (False, True))
    found = decode_heatmaps(torch.cat([heatmaps[:1], unshifted, shifted]), input_size, exact)[:, 0, 0]
    step = exact.grid(input_size[1], size[1])[1]
    assert ((found[1:] - found[0]) / step).tolist() == pytest.approx([-0.75, 0.25], abs=0.02)


def test_grids_say_where_pixels_lie():
    assert middles(64, 16) == (2.0, 4.0)  # the middle of four pixels
    assert corners(64, 16) == (0.5, 4.0)  # the middle of the first of them
    first, step = ends(64, 16)
    assert (first, first + 15 * step) == (0.5, 63.5)


def test_published_targets_stand_on_whole_pixels():
    """mu = int(x / 4 + 0.5) in coordinates that call the middle of the first pixel 0, a peak of one."""
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(0, 59, (20, 2)):
        joints = torch.tensor([[[x + 0.5, y + 0.5, 1.0]]])
        (heat,), _ = encode(joints, (64, 64), (16, 16), CODECS["plain"])
        assert divmod(int(heat[0].argmax()), 16) == (int(y / 4 + 0.5), int(x / 4 + 0.5))
        assert heat.max() == 1


def test_joints_that_ask_for_nothing():
    joints = torch.tensor([[[10.0, 10, 0], [-30, 10, 2], [-20, 10, 2], [float("nan"), 0, 0]]])
    heatmaps, asked = encode(joints, (64, 64), (16, 16), CODECS["dark"])
    assert asked.tolist() == [[False, False, True, False]]  # 6 pixels of the heatmap: three deviations
    assert not heatmaps[0, [0, 1, 3]].any()
    assert heatmaps[0, 2, 2, 0] == pytest.approx(np.exp(-(5.5**2) / 8))


def test_noise_and_flat_maps_stay_near_their_largest_pixel():
    torch.manual_seed(0)
    for maps in (torch.rand(1, 50, 9, 7), torch.zeros(1, 3, 9, 7), torch.rand(1, 5, 2, 2), -torch.rand(1, 4, 6, 6)):
        height, width = maps.shape[-2:]
        size = (4 * height, 4 * width)
        for codec in CODECS.values():
            found = decode_heatmaps(maps, size, codec)
            top = maps.flatten(2).argmax(2)
            grid_x, grid_y = codec.grid(size[1], width), codec.grid(size[0], height)
            assert ((found[..., 0] - grid_x[0]) / grid_x[1] - top % width).abs().max() <= 1.001
            assert ((found[..., 1] - grid_y[0]) / grid_y[1] - top // width).abs().max() <= 1.001
            assert torch.equal(found[..., 2], maps.amax((2, 3)))


def test_an_unknown_codec():
    with pytest.raises(UserError, match=r"drak.*dark"):
        named_codec("drak")
