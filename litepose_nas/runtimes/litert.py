"""LiteRT (TensorFlow Lite), on the processor, with its XNNPACK delegate; pictures lie channels last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np


def version() -> str:
    from importlib.metadata import version as installed

    return installed("ai-edge-litert")


def open_session(path: str | Path, threads: int | None = None) -> LiteRTSession:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return LiteRTSession(interpreter)


class LiteRTSession:
    keeps_time = False

    def __init__(self, interpreter: Any):
        self._interpreter = interpreter
        (image,) = interpreter.get_input_details()
        self._image = image["index"]

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        self.ready(batch)()
        outputs = self._interpreter.get_output_details()
        return [self._interpreter.get_tensor(output["index"]).transpose(0, 3, 1, 2) for output in outputs]

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        image = batch.transpose(0, 2, 3, 1).copy()

        def run() -> None:
            self._interpreter.set_tensor(self._image, image)  # the memory is the runtime's own again after each call
            self._interpreter.invoke()

        return run
