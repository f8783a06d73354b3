"""Torch: a .pt2 that `torch.export.load` opens without this project."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from litepose_nas import devices, files
from litepose_nas.exporters.exported import Exported
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules


def write_program(what: Exported, path: Path) -> None:
    image = torch.from_numpy(what.images(1))
    packed = io.BytesIO()  # torch ends the whole process where it writes to a disk that is full
    torch.export.save(torch.export.export(with_ordinary_modules(what.net).eval(), (image,)), packed)
    files.write(path, packed.getvalue())


def open_program(path: Path, threads: int | None = None) -> ProgramSession:
    return ProgramSession(torch.export.load(path).module(), threads)


class ProgramSession:
    keeps_time = False

    def __init__(self, program: Callable[..., Any], threads: int | None = None):
        self._program, self._threads = program, threads

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        return [output.numpy() for output in self.ready(batch)()]

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        image = torch.from_numpy(batch)

        def run() -> Any:
            with torch.no_grad(), devices.threads(self._threads or torch.get_num_threads()):
                return self._program(image)

        return run
