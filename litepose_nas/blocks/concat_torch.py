"""A convolution of two joined features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.blocks.conv_torch import dense

if TYPE_CHECKING:
    from litepose_nas.blocks.concat import ConcatConv


class ConcatConvModule(nn.Module):
    """What a convolution of the concatenated features gives, as the sum of one for each part: nothing is copied."""

    def __init__(self, block: ConcatConv):
        super().__init__()
        self.first = dense(block.first, block.cout, block.kernel)
        self.second = dense(block.second, block.cout, block.kernel)
        self.bn = nn.BatchNorm2d(block.cout)
        self.act = block.act

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        joined = self.bn(self.first(first) + self.second(second))
        return F.relu(joined) if self.act else joined
