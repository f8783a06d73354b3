"""ONNX Runtime, on the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np


def version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


def open_session(path: str | Path, threads: int | None = None) -> OnnxSession:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: a thread for each core
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return OnnxSession(ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))


class OnnxSession:
    keeps_time = False

    def __init__(self, session: Any):
        self._session = session
        (self._image,) = (each.name for each in session.get_inputs())

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        outputs: Sequence[np.ndarray] = self._session.run(None, {self._image: batch})
        return outputs

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        run, feed = self._session.run, {self._image: batch}
        return lambda: run(None, feed)
