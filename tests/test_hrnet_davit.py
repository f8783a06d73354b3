"""HigherHRNet with DaViT beside it: published counts, the counter behind 330.5, masks, outputs, commands."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

import litepose_nas as ln
from litepose_nas import costs, target

POINTS = {
    "higherhrnet-w32": (28_645_331, 46_203_404_288, "46.2034"),
    "hrnet_davit": (35_505_043, 55_940_594_432, "55.9406"),
}


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return ln.build(target.resolve(name).subnet.arch, 17).eval()


@pytest.mark.parametrize("name", POINTS)
def test_published_points_cost_what_is_printed(name):
    params, macs, printed = POINTS[name]
    subnet = target.resolve(name).subnet
    assert (subnet.joints, subnet.input) == (17, (512, 512))
    assert (subnet.cost.params, subnet.cost.macs) == (params, macs)
    assert f"{macs / 1e9:.4f}" == printed
    net = on_meta(name)
    # The meta device, because fused attention on a processor is counted as nothing.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        outputs = net(torch.zeros(1, 3, 512, 512, device="meta"))
    assert counter.get_total_flops() == 2 * macs
    assert sum(param.numel() for param in net.parameters()) == params
    assert [tuple(output.shape) for output in outputs] == [(1, 34, 128, 128), (1, 17, 256, 256)]


class Summary(TorchFunctionMode):
    """The rule of the model summary that HigherHRNet's code prints, whose figures both papers give.

    A convolution, transposed or not, counts its weights once for each place of the output. A linear layer counts its
    output times `input.size(1)`: the input's width for a row of features, but for (batch, tokens, channels) the number
    of tokens. Products of attention are not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = self.linear = self.true_linear = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in (F.conv2d, F.conv_transpose2d):
            self.conv += args[1].numel() * out.shape[2:].numel()
        elif func is F.linear:
            self.linear += out.numel() * args[0].size(1)
            self.true_linear += out.numel() * args[1].size(1)
        return out


def test_the_fusion_has_a_sixth_of_the_printed_count():
    """55.94 GMACs, printed as 330.5: the summary takes 16,384 tokens of a map for the 64 channels of each.

    Its convolutions are worth 50.7 G; its linear layers 6.6 G, for which it says 279.8.
    """
    counted = {}
    for name in POINTS:
        with Summary() as summary, torch.no_grad():
            on_meta(name)(torch.zeros(1, 3, 512, 512, device="meta"))
        counted[name] = summary
    plain, fusion = counted["higherhrnet-w32"], counted["hrnet_davit"]
    assert (f"{plain.conv / 1e9:.4f}", plain.linear) == ("47.8643", 0)
    assert f"{(fusion.conv + fusion.linear) / 1e9:.4f}" == "330.5031"
    assert (f"{fusion.conv / 1e9:.3f}", f"{fusion.linear / 1e9:.3f}") == ("50.724", "279.779")
    assert f"{fusion.true_linear / 1e9:.1f}" == "6.6"
    exact = {name: target.resolve(name).subnet.cost.macs for name in POINTS}
    assert f"{exact['hrnet_davit'] / 1e9:.2f}" == "55.94"
    # Without DaViT nothing is wrong but the deconv, which is counted on its output grid: four times its MACs.
    deconv = next(row for row in costs.table(target.resolve("higherhrnet-w32").subnet.arch) if row.name == "head.up.0")
    assert plain.conv == exact["higherhrnet-w32"] + 3 * deconv.macs
    assert exact["hrnet_davit"] < 1.22 * exact["higherhrnet-w32"]  # the printed figures say 6.9 times
