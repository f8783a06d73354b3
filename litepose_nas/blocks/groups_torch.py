"""Grouped convolutions that share one weight between all their group counts and widths.

Every quantity that can shrink has an axis of its own in the weight: the fewest groups, which are never joined,
the lanes of each, the channels of a lane. Torch sees the same numbers as an ordinary grouped weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from litepose_nas.blocks.depthwise_torch import depthwise_conv
from litepose_nas.blocks.groups import LaneGroups


def _draw(weight: Tensor, variance: float) -> None:
    """Draw uniformly; a normal distribution is slow where a weight has no memory, as when windows are made."""
    nn.init.uniform_(weight, -((3 * variance) ** 0.5), (3 * variance) ** 0.5)


class GroupWeight(nn.Module):
    """The weight of a grouped convolution between lanes; `rows` and `columns` are channels of a lane.

    Its axes: fewest groups, parts of a group, parts of a lane, then lanes and channels of a group on either side, then
    the kernel.
    """

    def __init__(self, grouping: LaneGroups, rows: int, columns: int, kernel: int):
        super().__init__()
        few, per_group, split, inner = grouping
        self.split, self.inner, self.rows, self.columns = split, inner, rows, columns
        self.groups, rest = grouping.groups, per_group // split
        shape = few, split, inner, rest, rows // inner, rest, columns // inner, kernel, kernel
        self.weight = nn.Parameter(torch.empty(shape))
        _draw(self.weight, 2 / math.prod(shape[5:]))

    def window(self, key: str, big: Tensor) -> Tensor:
        """Where the weight lives in that of fewest groups: the blocks on its diagonal."""
        few, kernel = self.weight.shape[0], self.weight.shape[-1]
        rim = (big.shape[-1] - kernel) // 2
        big = big[:few, 0, 0, :, : self.rows, :, : self.columns, rim : rim + kernel, rim : rim + kernel]
        lanes = big.unflatten(3, (self.split, -1)).unflatten(1, (self.split, -1)).diagonal(dim1=1, dim2=4)
        channels = lanes.unflatten(4, (self.inner, -1)).unflatten(2, (self.inner, -1)).diagonal(dim1=2, dim2=5)
        # Now groups, lanes, rows, lanes, columns, kernel, kernel, split, inner.
        return channels.movedim((-2, -1), (1, 2))

    def plain_weight(self) -> Tensor:
        """The weight as torch wants it, groups side by side."""
        return self.weight.flatten(5, 6).flatten(0, 4)


class LaneConv(GroupWeight):
    """A padded grouped convolution."""

    def __init__(self, grouping: LaneGroups, cin: int, cout: int, kernel: int, stride: int = 1):
        super().__init__(grouping, cout, cin, kernel)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        weight = self.plain_weight()
        if self.training and weight.shape[:2] == (self.groups, 1):
            return depthwise_conv(x, weight, self.stride)
        return F.conv2d(x, weight, None, self.stride, weight.shape[-1] // 2, 1, self.groups)

    def as_plain(self) -> nn.Module:
        weight = self.plain_weight()
        cout, cin, kernel, _ = weight.shape
        made = nn.Conv2d(
            cin * self.groups, cout, kernel, self.stride, kernel // 2, groups=self.groups, bias=False, device="meta"
        )
        return with_weights(made, weight=weight)


class LaneDeconv(GroupWeight):
    """A grouped deconv of stride 2 with an even kernel; torch has what goes in as rows."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.plain_weight()
        return F.conv_transpose2d(x, weight, None, 2, (weight.shape[-1] - 2) // 2, groups=self.groups)

    def as_plain(self) -> nn.Module:
        weight = self.plain_weight()
        cin, cout, kernel, _ = weight.shape
        made = nn.ConvTranspose2d(
            cin, cout * self.groups, kernel, 2, (kernel - 2) // 2, groups=self.groups, bias=False, device="meta"
        )
        return with_weights(made, weight=weight)


class LanePointwise(nn.Module):
    """A 1x1 convolution into lanes or out of them: its weight has an axis for lanes and one for channels of a lane."""

    def __init__(self, out: Sequence[int], into: Sequence[int], bias: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*out, *into))
        self.bias = nn.Parameter(torch.zeros(*out)) if bias else None
        self.ends = len(out)  # the first axis of the input
        _draw(self.weight, 1 / math.prod(into))

    def plain_weight(self) -> Tensor:
        return self.weight.flatten(self.ends).flatten(0, -2)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.plain_weight(), None if self.bias is None else self.bias.flatten())

    def as_plain(self) -> nn.Module:
        weight, bias = self.plain_weight(), {} if self.bias is None else {"bias": self.bias.flatten()}
        made = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bool(bias), device="meta")
        return with_weights(made, weight=weight, **bias)


class LaneNorm(_BatchNorm):
    """Batch normalisation whose weights and statistics have an axis for lanes and one for channels of a lane."""

    def __init__(self, lanes: int, channels: int):
        super().__init__(lanes * channels)
        shape = lanes, channels
        self.weight, self.bias = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.running_mean, self.running_var = torch.zeros(shape), torch.ones(shape)

    def forward(self, input: Tensor) -> Tensor:
        """As `BatchNorm2d` does."""
        tracks = self.training and self.track_running_stats
        share = 0.0 if self.momentum is None else self.momentum
        if tracks and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                share = 1.0 / float(self.num_batches_tracked)
        known = tracks or not self.training
        # Of lanes of one channel a window flattens to a view with steps in it, and torch then adds in another order.
        # Of statistics of one's own it is a plain view, so they are updated in place.
        mean = self.running_mean.flatten().contiguous() if known and self.running_mean is not None else None
        var = self.running_var.flatten().contiguous() if known and self.running_var is not None else None
        weight, bias = self.weight.flatten().contiguous(), self.bias.flatten().contiguous()
        return F.batch_norm(input, mean, var, weight, bias, self.training, share, self.eps)

    def as_plain(self) -> nn.Module:
        made = nn.BatchNorm2d(self.num_features, self.eps, self.momentum, device="meta")
        return with_weights(made, **{name: tensor.flatten() for name, tensor in self.state_dict().items()})


def with_weights(module: nn.Module, **tensors: Tensor) -> nn.Module:
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    state = {name: tensor.detach().reshape(shapes[name]).clone() for name, tensor in tensors.items()}
    module.load_state_dict(state, assign=True)
    return module
