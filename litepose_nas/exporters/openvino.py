"""OpenVINO: an .xml of one picture or clip and the .bin beside it, in fp32 or fp16."""

from __future__ import annotations

from pathlib import Path

from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.onnx import write_onnx_program
from litepose_nas.optional import need
from litepose_nas.plan_files.onnx_file import write_onnx


def write_openvino(what: Exported, path: Path, half: bool = False) -> None:
    openvino = need("openvino", "latency")
    whole = path.with_suffix(".onnx")
    if what.more:
        write_onnx_program(what, whole)
    else:
        graph, state = what.graph("openvino")
        write_onnx(graph, whole, what.outputs, state)
    openvino.save_model(openvino.convert_model(str(whole)), str(path), compress_to_fp16=half)
    whole.unlink()
