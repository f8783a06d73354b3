"""How networks begin."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import nn

from litepose_nas.blocks.conv_torch import conv_bn, dense
from litepose_nas.blocks.depthwise_torch import DepthwiseConv

if TYPE_CHECKING:
    from litepose_nas.blocks.stem import Stem, StemConv


class StemModule(nn.Sequential):
    def __init__(self, block: Stem):
        conv = conv_bn(dense(3, block.mid, 3, 2), block.mid, nn.ReLU(inplace=True))
        dw = conv_bn(DepthwiseConv(block.mid, 3), block.mid, nn.ReLU(inplace=True))
        super().__init__(OrderedDict(conv=conv, dw=dw, project=conv_bn(dense(block.mid, block.cout), block.cout)))


class StemConvModule(nn.Sequential):
    def __init__(self, block: StemConv):
        act = activation(block.hswish)
        super().__init__(OrderedDict(conv=conv_bn(dense(3, block.cout, block.kernel, 2), block.cout, act)))


def activation(hswish: bool) -> nn.Module:
    return nn.Hardswish(inplace=True) if hswish else nn.ReLU(inplace=True)
