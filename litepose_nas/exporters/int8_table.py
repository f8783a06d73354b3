"""The formats that can be quantised."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from litepose_nas.errors import UserError
from litepose_nas.exporters.int8 import Int8Base, Quantiser
from litepose_nas.exporters.int8_executorch import ExecuTorchQuantiser
from litepose_nas.exporters.int8_litert import LiteRTQuantiser
from litepose_nas.exporters.int8_onnx import OnnxQuantiser
from litepose_nas.exporters.int8_openvino import OpenVINOQuantiser

QUANTISERS: Mapping[str, Callable[[Int8Base], Quantiser]] = {
    "onnx": OnnxQuantiser,
    "openvino": OpenVINOQuantiser,
    "litert": LiteRTQuantiser,
    "executorch": ExecuTorchQuantiser,
}


def quantiser_of(format: str) -> Callable[[Int8Base], Quantiser]:
    if format not in QUANTISERS:
        raise UserError(f"--int8: is for {', '.join(QUANTISERS)}; leave it out for {format}")
    return QUANTISERS[format]
