"""HRNet: convolutions, residual blocks, the exchange between branches, and what merges a side branch into one."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import conv_bn, dense

if TYPE_CHECKING:
    from litepose_nas.families.hrnet_davit.hrnet import AddMerge, BasicBlock, Bottleneck, Conv3x3, Fuse, GateMerge


class Conv3x3Module(nn.Sequential):
    def __init__(self, block: Conv3x3):
        mix = conv_bn(dense(block.cin, block.cout, 3, block.stride), block.cout, nn.ReLU(inplace=True))
        super().__init__(OrderedDict(mix=mix))


class BasicBlockModule(nn.Module):
    def __init__(self, block: BasicBlock):
        super().__init__()
        width = block.width
        self.first = conv_bn(dense(width, width, 3), width, nn.ReLU(inplace=True))
        self.second = conv_bn(dense(width, width, 3), width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + x)


class BottleneckModule(nn.Module):
    def __init__(self, block: Bottleneck):
        super().__init__()
        cin, mid, cout = block.cin, block.mid, block.cout
        self.reduce = conv_bn(dense(cin, mid), mid, nn.ReLU(inplace=True))
        self.mix = conv_bn(dense(mid, mid, 3), mid, nn.ReLU(inplace=True))
        self.expand = conv_bn(dense(mid, cout), cout)
        self.project = conv_bn(dense(cin, cout), cout) if block.projected else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.expand(self.mix(self.reduce(x))) + self.project(x))


class FuseModule(nn.Module):
    def __init__(self, block: Fuse):
        super().__init__()
        widths, into = block.widths, block.into
        present = [i for i, width in enumerate(widths) if width]
        self.own = present.index(into)
        self.paths = nn.ModuleDict({str(i): _path(i, into, widths[i], widths[into]) for i in present if i != into})

    def forward(self, *branches: Tensor) -> Tensor:
        """The new feature of one branch, from those that are present, the finest first."""
        height, width = branches[self.own].shape[-2:]
        paths = iter(self.paths.values())
        total: Tensor | None = None
        for j, branch in enumerate(branches):
            term = branch if j == self.own else next(paths)(branch)
            if term.shape[-2:] != (height, width):  # an odd size was rounded up when it was halved
                term = term[..., :height, :width]
            total = term if total is None else total + term
        assert total is not None
        return F.relu(total)


def _path(source: int, into: int, cin: int, cout: int) -> nn.Module:
    if source > into:
        return nn.Sequential(*conv_bn(dense(cin, cout), cout), nn.Upsample(scale_factor=2 ** (source - into)))
    between = into - source - 1
    steps = [conv_bn(dense(cin, cin, 3, 2), cin, nn.ReLU(inplace=True)) for _ in range(between)]
    return nn.Sequential(*steps, conv_bn(dense(cin, cout, 3, 2), cout))


class AddMergeModule(nn.Module):
    def __init__(self, block: AddMerge):
        super().__init__()
        self.project = conv_bn(dense(block.side, block.width), block.width)

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        return x + self.project(side)


class GateMergeModule(nn.Module):
    def __init__(self, block: GateMerge):
        super().__init__()
        width, side = block
        self.project = conv_bn(dense(side, width), width)
        self.mine, self.theirs = dense(width, width), nn.Conv2d(side, width, 1)

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        return x + torch.sigmoid(self.mine(x) + self.theirs(side)) * self.project(side)
