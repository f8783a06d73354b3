"""A network with its large depthwise kernels cut computes what it computed before."""

import random

import pytest
import torch
from torch import nn

from litepose_nas.network import build
from litepose_nas.rewrites.cut_kernels import CutConv2d, with_cut_kernels
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
        assert not [each for each in kernels if each.groups == each.in_channels > 1 and max(each.kernel_size) > 5]
        cut = [module for module in after.modules() if isinstance(module, CutConv2d)]
        assert all(max(weight.shape[2:]) <= 5 for each in cut for weight in each.weights)
        assert sum(p.numel() for p in after.parameters()) == sum(p.numel() for p in before.parameters())
        cut_ones += len(cut)
    assert cut_ones > 0


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2, (2, 3)])
@pytest.mark.parametrize(("kernel", "padding"), [(6, 0), (7, 3), (9, 2), ((11, 3), (5, 1)), ((2, 13), (0, 6))])
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
