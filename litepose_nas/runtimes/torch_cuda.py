"""Torch on a GPU: the GPU's own clock between two events, in fp32. It needs the whole of this project.

Written to torch's documentation (torch.cuda.Event); it has not been run on such a machine yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from litepose_nas import weights
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules


def version() -> str:
    return f"{torch.__version__} on {torch.cuda.get_device_name()}"


def open_session(path: str | Path, threads: int | None = None) -> CudaSession:
    if not torch.cuda.is_available():
        raise ImportError("torch sees no GPU")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # the fastest algorithm for this size is found during the warm-up
    return CudaSession(with_ordinary_modules(weights.load(path)))


class CudaSession:
    """The picture is on the GPU before the clock runs."""

    keeps_time = True

    def __init__(self, net: nn.Module):
        self._net = net.eval().cuda()

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        with torch.no_grad():
            return [output.cpu().numpy() for output in self._net(torch.from_numpy(batch).cuda())]

    def ready(self, batch: np.ndarray) -> Callable[[], float]:
        image = torch.from_numpy(batch).cuda()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

        def run() -> float:
            torch.cuda.synchronize()
            with torch.no_grad():
                begin.record()
                self._net(image)
                end.record()
            end.synchronize()
            return float(begin.elapsed_time(end))

        return run
