"""OpenVINO, on the processor, always in fp32: by default it computes in bf16 where the processor can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np


def version() -> str:
    import openvino

    return str(openvino.__version__)


def open_session(path: str | Path, threads: int | None = None) -> OpenVINOSession:
    import openvino

    wishes: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if threads:
        wishes["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    return OpenVINOSession(core.compile_model(core.read_model(str(path)), "CPU", wishes))


class OpenVINOSession:
    keeps_time = False

    def __init__(self, compiled: Any):
        self._compiled = compiled
        self._request = compiled.create_infer_request()

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        outputs = self._request.infer([batch])
        return [outputs[i].copy() for i in range(len(self._compiled.outputs))]

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        infer = self._request.infer
        return lambda: infer([batch], share_inputs=True, share_outputs=True)
