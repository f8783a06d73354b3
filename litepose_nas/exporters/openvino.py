"""OpenVINO: an .xml of one picture or clip and the .bin beside it, in fp32 or fp16."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.onnx import write_onnx_program
from litepose_nas.files import replacing
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
    save(openvino.convert_model(str(whole)), path, half)
    whole.unlink()


def save(model: Any, path: Path, half: bool = False) -> None:
    """OpenVINO does not say that a disk is full: its files are made elsewhere, and copied."""
    with tempfile.TemporaryDirectory() as folder:
        need("openvino", "latency").save_model(model, str(Path(folder) / path.name), compress_to_fp16=half)
        for file in sorted(Path(folder).iterdir()):
            with replacing(path.with_name(file.name)) as temporary:
                shutil.copyfile(file, temporary)
