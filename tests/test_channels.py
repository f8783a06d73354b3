"""Sorting channels moves everything that belongs together: the widest network stays the same function."""

import pytest
import torch

from litepose_nas import Space, Supernet, extract
from litepose_nas.channels import channel_classes, sort_channels

SPACES = ("litepose-tiny", "topdown-tiny")


def trained_looking(kernel_maps: bool = False, space: str = "litepose-tiny") -> Supernet:
    torch.manual_seed(0)
    supernet = Supernet(Space.load(space), 5, kernel_maps=kernel_maps)
    for name, tensor in supernet.store.state_dict().items():
        if tensor.dim() == 1:
            tensor.copy_(torch.rand_like(tensor) + (0.5 if name.endswith(("var", "weight")) else -0.5))
    return supernet


def outputs(supernet: Supernet, arch, x):
    with torch.no_grad():
        return extract(supernet, arch).eval()(x)


@pytest.mark.parametrize("name", SPACES)
def test_the_widest_network_computes_the_same_after_sorting(name):
    for maps in (False, True):
        supernet = trained_looking(maps, name)
        space, x = supernet.space, torch.randn(2, 3, 64, 64)
        before = supernet.store.flat.clone()
        widest, small = outputs(supernet, space.widest, x), outputs(supernet, space.smallest, x)
        sort_channels(supernet)
        assert not torch.equal(before, supernet.store.flat)
        for old, new in zip(widest, outputs(supernet, space.widest, x), strict=True):
            torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-5)
        # the smallest network now has other, better channels
        changed = zip(small, outputs(supernet, space.smallest, x), strict=True)
        assert any((new - old).abs().max() > 1e-3 for old, new in changed)


def test_sorted_channels_come_in_falling_importance():
    supernet = trained_looking()
    sort_channels(supernet)
    weight = supernet.store.state_dict()["stages.2.1.project.conv.weight"]
    importance = weight.abs().sum((0, 2, 3))
    assert (importance.diff() <= 1e-5).all()
    before = supernet.store.flat.clone()
    sort_channels(supernet)
    assert torch.equal(before, supernet.store.flat)


@pytest.mark.parametrize("space", SPACES)
def test_every_channel_but_colours_and_joints_belongs_to_a_class(space):
    supernet = trained_looking(space=space)
    free = {(use.tensor, use.axis) for uses in channel_classes(supernet) for use in uses}
    for name, tensor in supernet.store.state_dict().items():
        for axis in range(min(tensor.dim(), 2)):
            colours = name == "stem.conv.conv.weight" and axis == 1
            answer = (name.endswith("project.weight") and name.startswith("head.out")) or name.startswith("heatmaps")
            joints = answer and axis == 0
            per_channel = axis == 1 and tensor.shape[1] == 1 and ".dw." in name
            assert ((name, axis) in free) != (colours or joints or per_channel), (name, axis)


def test_mirrors_and_gradients_move_with_the_weights():
    supernet = trained_looking()
    mirror = supernet.store.flat.clone()
    supernet.store.grad.copy_(supernet.store.flat)
    sort_channels(supernet, [mirror])
    assert torch.equal(mirror, supernet.store.flat)
    assert torch.equal(supernet.store.grad, supernet.store.flat)
