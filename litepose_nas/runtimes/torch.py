"""Torch itself, on the processor: what the other runtimes are compared with. It needs the whole of this project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from litepose_nas import devices, weights


def version() -> str:
    return str(torch.__version__)


def open_session(path: str | Path, threads: int | None = None) -> TorchSession:
    return TorchSession(weights.load(path), threads)


class TorchSession:
    keeps_time = False

    def __init__(self, net: nn.Module, threads: int | None = None):
        self._net, self._threads = net.eval(), threads

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        return [output.numpy() for output in self.ready(batch)()]

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        image = torch.from_numpy(batch)

        def run() -> Any:
            with torch.no_grad(), devices.threads(self._threads or torch.get_num_threads()):
                return self._net(image)

        return run
