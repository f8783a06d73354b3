"""Torch itself: what the other runtimes are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from litepose_nas import devices, weights
from litepose_nas.runtimes.base import Session


def open_weights(path: str | Path, threads: int | None = None) -> Session:
    return session_of(weights.load(path), threads)


def session_of(net: nn.Module, threads: int | None = None) -> Session:
    net = net.eval()

    def run(batch: Tensor) -> Sequence[Tensor]:
        with torch.no_grad(), devices.threads(threads or torch.get_num_threads()):
            return net(batch)

    return run
