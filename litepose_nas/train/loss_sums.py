"""The losses since the last report, added up on the device: to read one in every step, a CPU would wait for its GPU."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

DIVERGED = 1e4  # a loss of outputs a hundred times as high as any heatmap is asked to be


class LossSums:
    def __init__(self, device: torch.device):
        # Sums of float32 in float64: they come out the same however often they were saved and read in between.
        self._type = torch.float32 if device.type == "mps" else torch.float64
        self._device = device
        self._names: list[str] = []
        self._totals = torch.zeros(0, dtype=self._type, device=device)
        self._bad = torch.full((2,), -1.0, dtype=self._type, device=device)  # the first step that diverged, its loss
        self.count = 0

    def add(self, losses: Mapping[str, Tensor], step: int) -> None:
        """Add what a batch of a step lost."""
        self._learn(list(losses))
        values = torch.stack([loss.to(self._type) for loss in losses.values()])
        if list(losses) == self._names[: len(losses)]:
            self._totals[: len(losses)] += values
        else:
            for name, value in zip(losses, values, strict=True):
                self._totals[self._names.index(name)] += value
        if "loss" in losses:
            loss = losses["loss"].to(self._type)
            kept = (loss.abs() < DIVERGED) | (self._bad[0] >= 0)  # NaN is not below, so it counts too
            self._bad = torch.where(kept, self._bad, torch.stack([torch.full_like(loss, step), loss]))
        self.count += 1

    @property
    def waits(self) -> bool:
        """Whether to read is to wait."""
        return self._device.type != "cpu"

    def diverged(self) -> tuple[int, float] | None:
        """Return the first step whose loss grew beyond all bounds or was no number, and that loss."""
        step, loss = self._bad.tolist()
        return (int(step), loss) if step >= 0 else None

    def plain(self) -> dict[str, float]:
        return dict(zip(self._names, self._totals.tolist(), strict=True))

    def load(self, sums: Mapping[str, float], count: int) -> None:
        """Go on from what `plain` returned, and a count."""
        self._names, self.count = list(sums), count
        self._totals = torch.tensor(list(sums.values()), dtype=self._type, device=self._device)

    def means(self) -> dict[str, float]:
        """Return the means over all batches since the last time, and begin anew."""
        found = {name: total / self.count for name, total in self.plain().items()}
        self._names, self.count = [], 0
        self._totals = self._totals.new_zeros(0)
        return found

    def _learn(self, names: list[str]) -> None:
        new = [name for name in names if name not in self._names]
        if new:
            self._names += new
            self._totals = torch.cat([self._totals, self._totals.new_zeros(len(new))])
