"""TensorRT, through ONNX Runtime's execution provider (the package onnxruntime-gpu).

Written to its documentation (onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html); it has not been
run on such a machine yet. What TensorRT cannot take runs on CUDA, and in fp32, as everywhere here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np

PROVIDER = "TensorrtExecutionProvider"


def version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


def open_session(path: str | Path, threads: int | None = None) -> TensorRTSession:
    import onnxruntime as ort

    if PROVIDER not in ort.get_available_providers():
        raise ImportError(f"{PROVIDER} is not in this onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    providers = [(PROVIDER, {"device_id": 0, "trt_fp16_enable": False}), "CUDAExecutionProvider"]
    return TensorRTSession(ort.InferenceSession(str(path), options, providers=providers))


class TensorRTSession:
    """The picture is on the GPU before the clock runs; a call returns when the GPU is done."""

    keeps_time = False

    def __init__(self, session: Any):
        self._session = session
        (self._image,) = (each.name for each in session.get_inputs())

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        outputs: Sequence[np.ndarray] = self._session.run(None, {self._image: batch})
        return outputs

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        import onnxruntime as ort

        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._image, ort.OrtValue.ortvalue_from_numpy(batch, "cuda", 0))
        for output in self._session.get_outputs():
            binding.bind_output(output.name, "cuda")

        def run() -> None:
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()

        return run
