"""Small attention inside a block: a global context that is added, and a gate for every channel.

What is a 1x1 convolution of a single position in the papers is a linear map here: torch tells the memory layouts of
1x1 weights apart by strides that mean nothing, and a window would compute other last bits than its copy.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Context(nn.Module):
    """A weighted mean over all positions, passed through two 1x1 convolutions and added everywhere (GCNet, 2019)."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.mask = nn.Conv2d(channels, 1, 1)
        self.down, self.norm = nn.Linear(channels, hidden), nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, channels)
        nn.init.uniform_(self.up.weight, -1e-3, 1e-3)  # nearly nothing is added at first

    def forward(self, x: Tensor) -> Tensor:
        weights = self.mask(x).flatten(2).softmax(2).unflatten(2, x.shape[2:])
        # A product and a sum in place of a product of matrices: exact counts tell the two apart.
        found = self.norm(self.down((x * weights).sum((2, 3))))
        return x + self.up(F.relu(found))[:, :, None, None]


class Gate(nn.Module):
    """Every channel times a number between 0 and 1 that follows from all channels' means (SENet, 2018)."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.down, self.up = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        found = self.up(F.relu(self.down(x.mean((2, 3)))))
        # ViPNAS's own hard sigmoid; MobileNetV3's is x / 6 + 1 / 2.
        return x * F.hardtanh(0.5 * found + 0.5, 0.0, 1.0)[:, :, None, None]
