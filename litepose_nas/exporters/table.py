"""The formats of `export`. A new one is a file in this folder, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from litepose_nas.exporters.coreml import UNVERIFIED, open_nothing, write_coreml
from litepose_nas.exporters.executorch import write_executorch
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.litert import write_litert
from litepose_nas.exporters.onnx import write_onnx_program
from litepose_nas.exporters.openvino import write_openvino
from litepose_nas.exporters.parity import TOLERANCE
from litepose_nas.exporters.torch_program import open_program, write_program
from litepose_nas.plan_files.ncnn_file import write_ncnn
from litepose_nas.runtimes import executorch, litert, ncnn, onnxruntime, openvino
from litepose_nas.runtimes.base import Session


class Format(NamedTuple):
    """`write` makes the file, and others beside it under its name; `open` runs it."""

    suffix: str  # ncnn's as its own converter has it: OpenVINO has a .bin beside its file, too
    write: Callable[[Exported, Path], None]
    open: Callable[..., Session]  # of the path, and the number of threads
    runtime: str  # a name in runtimes/table.py: where it is installed the file is run
    batches: tuple[int, ...] = (1,)  # of how many pictures, where it is run
    describes_itself: bool = False  # what is known of the network stands in the file, not beside it
    why_not_run: str = ""  # where no runtime on this system can: the file is kept unchecked, and says so
    tolerance: float = TOLERANCE  # how far its outputs may be from torch's, of the largest


def write_ncnn_files(what: Exported, path: Path, half: bool = False) -> None:
    what.check_plain(
        "ncnn",
        "ncnn has no layer that reads a map at places that were computed (gather), and none for the best of each map",
        "ncnn's networks take numbers; its Mat::from_pixels and substract_mean_normalize make them of bytes",
    )
    graph, state = what.graph("ncnn")
    write_ncnn(graph, path, state, half=half)


FORMATS: Mapping[str, Format] = {
    "onnx": Format(".onnx", write_onnx_program, onnxruntime.open_session, "onnxruntime", (1, 3), True),
    "openvino": Format(".xml", write_openvino, openvino.open_session, "openvino"),
    "ncnn": Format(".ncnn.param", write_ncnn_files, ncnn.open_session, "ncnn"),
    "litert": Format(".tflite", write_litert, litert.open_session, "litert"),
    "executorch": Format(".pte", write_executorch, executorch.open_session, "executorch"),
    "coreml": Format(".mlpackage", write_coreml, open_nothing, "coreml", why_not_run=UNVERIFIED),
    "torch": Format(".pt2", write_program, open_program, "torch"),
}
