"""Half precision: weights of 16 bits, and where the runtime can, 16 bits in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from litepose_nas.errors import UserError
from litepose_nas.exporters import litert
from litepose_nas.exporters.coreml import write_coreml
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.onnx import write_onnx_program
from litepose_nas.exporters.onnx_decoding import in_two, put_behind
from litepose_nas.exporters.openvino import write_openvino
from litepose_nas.exporters.table import FORMATS, Format, write_ncnn_files
from litepose_nas.files import replacing
from litepose_nas.optional import need

TOLERANCE = 2e-2  # a number of 16 bits is right to a thousandth, and errors add up over layers


def half_format(name: str) -> Format:
    if name not in HALVED:
        raise UserError(f"--half: is for {', '.join(HALVED)}; leave it out for {name}")
    return FORMATS[name]._replace(write=HALVED[name], tolerance=TOLERANCE)


def _onnx(what: Exported, path: Path) -> None:
    """Pictures go in and outputs come out in fp32, so that whoever calls the file notices nothing."""
    onnx, tools = need("onnx", "export"), need("onnxruntime.transformers.float16", "export")
    write_onnx_program(what, path)
    model = onnx.load(str(path))
    front, behind = in_two(model) if what.decodes else (model, None)
    model = tools.convert_float_to_float16(front, keep_io_types=True)
    if behind is not None:
        put_behind(model, behind)
    with replacing(path) as temporary:
        onnx.save(model, str(temporary))


def _coreml(what: Exported, path: Path) -> None:
    write_coreml(what, path, half=True)


def _openvino(what: Exported, path: Path) -> None:
    write_openvino(what, path, half=True)


def _ncnn(what: Exported, path: Path) -> None:
    write_ncnn_files(what, path, half=True)


HALVED: Mapping[str, Callable[[Exported, Path], None]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "ncnn": _ncnn,
    "litert": litert.write_half,
    "coreml": _coreml,
}
