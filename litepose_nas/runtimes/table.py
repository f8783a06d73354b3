"""The runtimes of `latency measure`. A new one is a file in this folder, and a line here."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.errors import UserError, nearest

if TYPE_CHECKING:
    from litepose_nas.runtimes.base import Runtime


class KnownRuntime(NamedTuple):
    """Where a runtime's code is, what it reads, and what it needs."""

    name: str
    file: str  # in this folder
    reads: str  # a format of exporters/measured.py
    package: str  # what is imported
    wheels: str  # what pip installs for it; the first of them runs networks, the others convert them

    @property
    def path(self) -> Path:
        return Path(__file__).with_name(f"{self.file}.py")

    @property
    def pip(self) -> str:
        return f"pip install {self.wheels}"

    @property
    def device_wheel(self) -> str:
        """What pip installs where networks are only run."""
        return self.wheels.split()[0]

    def check_installed(self) -> None:
        if importlib.util.find_spec(self.package) is None:
            raise UserError(f"{self.package} is not installed; get it with: {self.pip}")

    def version(self) -> str:
        """The version of its package, which must be installed."""
        runtime: Runtime = importlib.import_module(f"litepose_nas.runtimes.{self.file}")
        return runtime.version()


_ALL = (
    KnownRuntime("onnxruntime", "onnxruntime", "onnx", "onnxruntime", "onnxruntime"),
    KnownRuntime("openvino", "openvino", "onnx", "openvino", "openvino"),
    KnownRuntime("ncnn", "ncnn", "ncnn", "ncnn", "ncnn"),
    KnownRuntime("litert", "litert", "tflite", "ai_edge_litert", "ai-edge-litert litert-torch"),
    KnownRuntime("executorch", "executorch", "pte", "executorch", "executorch"),
    KnownRuntime("torch", "torch", "weights", "torch", "torch"),
    KnownRuntime("torch-cuda", "torch_cuda", "weights", "torch", "torch"),
    KnownRuntime("tensorrt", "tensorrt", "onnx", "onnxruntime", "onnxruntime-gpu"),
)
RUNTIMES: Mapping[str, KnownRuntime] = {runtime.name: runtime for runtime in _ALL}


def runtime_of(name: str) -> KnownRuntime:
    if name not in RUNTIMES:
        raise UserError(f"--runtime {name!r}: {nearest(name, RUNTIMES)}")
    return RUNTIMES[name]
