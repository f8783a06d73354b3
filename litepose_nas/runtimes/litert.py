"""LiteRT (TensorFlow Lite), on the processor, with its XNNPACK delegate; pictures and maps lie channels last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np


AS_THEY_ARE = ("joints", "peaks")  # outputs that are no maps


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
        named = interpreter.get_signature_runner().get_output_details() if interpreter.get_signature_list() else {}
        names = {output["index"]: name for name, output in named.items()}
        outputs = [output["index"] for output in interpreter.get_output_details()]
        self._outputs = [(index, names.get(index) not in AS_THEY_ARE) for index in outputs]

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        self.ready(batch)()
        found = [(self._interpreter.get_tensor(index), is_map) for index, is_map in self._outputs]
        return [output.transpose(0, 3, 1, 2) if is_map else output for output, is_map in found]

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        as_it_is = batch.dtype == "uint8"  # pictures of bytes lie channels last everywhere
        image = batch.copy() if as_it_is else batch.transpose(0, 2, 3, 1).copy()

        def run() -> None:
            self._interpreter.set_tensor(self._image, image)  # the memory is the runtime's own again after each call
            self._interpreter.invoke()

        return run
