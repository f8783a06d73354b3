"""Branches of different resolution that exchange what they found."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from litepose_nas.layers.conv import conv_bn, dense


class Fuse(nn.Module):
    """Every branch brought to the size and width of one of them, added, then ReLU."""

    def __init__(self, into: int, widths: Sequence[int]):
        super().__init__()
        present = [i for i, width in enumerate(widths) if width]
        self.own = present.index(into)
        self.paths = nn.ModuleDict({str(i): _path(i, into, widths[i], widths[into]) for i in present if i != into})

    def forward(self, *branches: Tensor) -> Tensor:
        """Return the new feature of one branch, from those that are present, the finest first."""
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
    halvings = into - source
    steps = [conv_bn(dense(cin, cin, 3, 2), cin, nn.ReLU(inplace=True)) for _ in range(halvings - 1)]
    return nn.Sequential(*steps, conv_bn(dense(cin, cout, 3, 2), cout))
