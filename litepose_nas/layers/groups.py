"""A grouped convolution that shares its weight with those of other group counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GroupConv(nn.Module):
    """A convolution in few x split interleaved groups, then batch normalisation and ReLU.

    Interleaved (channel c in group c % groups), because then the first channels of a wide network are grouped as a
    narrow network groups them; side by side, every width would deal the channels to other groups. A channel's place
    decides its group, so none may be sorted: there are no `axes`.
    """

    def __init__(self, few: int, split: int, cin: int, cout: int, kernel: int, stride: int = 1):
        super().__init__()
        self.few, self.split, self.cin, self.cout = few, split, cin, cout
        self.stride, self.padding = stride, kernel // 2
        # The groups that share one of the few stand last, where `diagonal` puts them.
        self.weight = nn.Parameter(torch.empty(few, cout // split, cin // split, kernel, kernel, split))
        self.bn = nn.BatchNorm2d(few * cout)
        nn.init.normal_(self.weight, std=(2 * split / (cin * kernel * kernel)) ** 0.5)

    def window(self, key: str, big: Tensor) -> Tensor:
        """Return where the weight lives in a store of one split: the blocks on its diagonal, after interleaving."""
        kernel = self.weight.shape[3]
        rim = (big.shape[3] - kernel) // 2
        big = big[:, : self.cout, : self.cin, rim : rim + kernel, rim : rim + kernel, 0]
        big = big.unflatten(2, (-1, self.split)).unflatten(1, (-1, self.split))
        return big.diagonal(dim1=2, dim2=4)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature."""
        groups = self.few * self.split
        weight = self.weight.permute(5, 0, 1, 2, 3, 4).flatten(0, 2)
        x = x.unflatten(1, (-1, groups)).transpose(1, 2).flatten(1, 2)
        y = F.conv2d(x, weight, None, self.stride, self.padding, 1, groups)
        return F.relu(self.bn(y.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)))
