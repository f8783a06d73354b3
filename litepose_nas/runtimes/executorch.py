"""ExecuTorch, on the processor, with its XNNPACK delegate. It needs torch as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np


def version() -> str:
    from importlib.metadata import version as installed

    return installed("executorch")


def open_session(path: str | Path, threads: int | None = None) -> ExecuTorchSession:
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    if threads:
        portable_lib._unsafe_reset_threadpool(threads)  # it offers no other way
    return ExecuTorchSession(Runtime.get().load_program(str(path)))


class ExecuTorchSession:
    keeps_time = False

    def __init__(self, program: Any):
        self._program = program  # a method lives no longer than its program
        self._forward = program.load_method("forward")

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        return [output.numpy().copy() for output in self.ready(batch)()]

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        import torch

        image, execute = [torch.from_numpy(batch)], self._forward.execute
        return lambda: execute(image)
