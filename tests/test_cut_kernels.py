"""A network with its large depthwise kernels cut computes what it computed before."""

import math
import random

import pytest
import torch
from torch import nn

from litepose_nas.network import build
from litepose_nas.rewrites.cut_kernels import CutConv2d, pieces, with_cut_kernels
from litepose_nas.rewrites.folded_norms import with_folded_norms
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules
from litepose_nas.space import Space


def normal(net):
    """The network with statistics as training leaves them: without, its outputs are all but zero."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.1, 0.3)
    return net.eval()


@torch.no_grad()
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", ["litepose", "litepose-tiny"])
def test_random_networks_stay_what_they_are(name, fold):
    space, rng = Space.load(name), random.Random(0)
    torch.manual_seed(0)
    image, cut_ones = torch.randn(1, 3, 64, 96, dtype=torch.float64), 0  # in fp32 sums in another order differ
    for _ in range(3):
        net = with_ordinary_modules(normal(build(space.sample(rng), 14).double()))
        before = with_folded_norms(net) if fold else net
        after = with_cut_kernels(before)
        for wanted, output in zip(before(image), after(image), strict=True):
            assert wanted.abs().max() > 0.01
            assert (output - wanted).abs().max() <= 1e-10 * wanted.abs().max()
        kernels = [module for module in after.modules() if isinstance(module, nn.Conv2d)]
        assert not [one for one in kernels if one.groups == one.in_channels > 1 and math.prod(one.kernel_size) > 25]
        cut = [module for module in after.modules() if isinstance(module, CutConv2d)]
        assert all(math.prod(weight.shape[2:]) <= 25 for each in cut for weight in each.weights)
        assert sum(p.numel() for p in after.parameters()) == sum(p.numel() for p in before.parameters())
        cut_ones += len(cut)
    assert cut_ones > 0


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2, (2, 3)])
@pytest.mark.parametrize(
    ("kernel", "padding"), [(6, 0), (7, 3), (9, 2), (11, 5), ((11, 3), (5, 1)), ((2, 13), (0, 6)), ((1, 27), (0, 13))]
)
def test_any_depthwise_convolution_stays_what_it_is(kernel, padding, stride):
    torch.manual_seed(0)
    for bias, outputs, size in ((True, 4, (17, 20)), (False, 12, (32, 15))):
        conv = nn.Conv2d(4, outputs, kernel, stride, padding, groups=4, bias=bias)
        image, cut = torch.randn(2, 4, *size), with_cut_kernels(nn.Sequential(conv))
        assert isinstance(cut[0], CutConv2d)
        torch.testing.assert_close(cut(image), conv(image), rtol=1e-5, atol=1e-5)


def test_what_is_not_depthwise_or_small_stays():
    net = nn.Sequential(nn.Conv2d(4, 4, 5, groups=4), nn.Conv2d(4, 4, 7, groups=2), nn.Conv2d(1, 1, 7))
    assert not [module for module in with_cut_kernels(net) if isinstance(module, CutConv2d)]


@pytest.mark.parametrize(("size", "count"), [(7, 3), (9, 4), (11, 6), (6, 2), ((27, 1), 2)])
def test_pieces_are_few_symmetric_and_hold_every_weight_once(size, count):
    height, width = size if isinstance(size, tuple) else (size, size)
    found = pieces(height, width)
    assert len(found) == count
    places = sorted((row, column) for rows, columns in found for row in rows.places for column in columns.places)
    assert places == [(row, column) for row in range(height) for column in range(width)]
    for rows, columns in found:
        assert rows.first + rows.places[-1] == height - 1
        assert columns.first + columns.places[-1] == width - 1
        assert rows.number * columns.number <= 25


@pytest.mark.parametrize("kernel", [7, 9, 11])
def test_pieces_of_padded_kernels_copy_nothing(kernel):
    cut = with_cut_kernels(nn.Sequential(nn.Conv2d(4, 4, kernel, padding=kernel // 2, groups=4)))
    operations = {str(node.target) for node in torch.export.export(cut, (torch.zeros(1, 4, 16, 16),)).graph.nodes}
    assert not [name for name in operations if "pad" in name or "slice" in name]
