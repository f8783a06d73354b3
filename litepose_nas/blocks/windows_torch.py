"""Cutting a picture into square windows, padded at the right and the bottom, and putting it together again.

Pictures are (batch, height, width, channels), windows (batch x windows, side, side, channels).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cut(x: Tensor, side: int) -> Tensor:
    batch, height, width, channels = x.shape
    down, right = -height % side, -width % side
    if down or right:
        x = F.pad(x, (0, 0, 0, right, 0, down))
    rows, columns = (height + down) // side, (width + right) // side
    if rows == columns == 1:
        return x
    x = x.reshape(batch, rows, side, columns, side, channels).transpose(2, 3)
    return _copy(x).view(batch * rows * columns, side, side, channels)


def join(x: Tensor, height: int, width: int) -> Tensor:
    """The picture of this size that was cut into windows."""
    side, channels = x.shape[2:]
    rows, columns = -(-height // side), -(-width // side)
    if rows > 1 or columns > 1:
        x = x.reshape(-1, rows, columns, side, side, channels).transpose(2, 3)
        x = _copy(x).view(-1, rows * side, columns * side, channels)
    return x if x.shape[1:3] == (height, width) else _copy(x[:, :height, :width])


def _copy(x: Tensor) -> Tensor:
    """A copy also where a view would do: what lies in memory then depends on the sizes alone."""
    return x.clone(memory_format=torch.contiguous_format)
