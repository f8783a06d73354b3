"""A convolution of two joined features."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers.conv import dense


class ConcatConv(nn.Module):
    """What a convolution of the concatenated features gives, as the sum of one for each part: nothing is copied."""

    def __init__(self, first: int, second: int, cout: int, kernel: int, act: bool = True):
        super().__init__()
        self.first, self.second = dense(first, cout, kernel), dense(second, cout, kernel)
        self.bn = nn.BatchNorm2d(cout)
        self.act = act

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the joined feature."""
        joined = self.bn(self.first(first) + self.second(second))
        return F.relu(joined) if self.act else joined
