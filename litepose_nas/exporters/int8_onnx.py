"""Int8 for ONNX Runtime: QuantizeLinear and DequantizeLinear around what its integer kernels compute."""

from __future__ import annotations

import logging
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litepose_nas.exporters.int8 import Inputs, Int8Base, Layer
from litepose_nas.exporters.onnx_rewrites import ALL, ELEMENTWISE
from litepose_nas.files import replacing
from litepose_nas.optional import need

# What is quantised besides layers with weights, so that integers go from one layer to the next.
BETWEEN = ("Add", "Mul", "Concat", "MaxPool", "GlobalAveragePool", "Relu", "Clip", "Resize", "DepthToSpace")
LAYERS = ("Conv", "Gemm", "MatMul")
INTEGER = ("QLinearConv", "QLinearMatMul", "MatMulIntegerToFloat", "QGemm", "ConvInteger", "MatMulInteger")


class OnnxQuantiser:
    def __init__(self, base: Int8Base):
        self._onnx, self._tools = need("onnx", "export"), need("onnxruntime.quantization", "export")
        self._base, model = base, base.model()
        with tempfile.TemporaryDirectory() as folder:
            self._ranges = self._calibrated(model, base.inputs, Path(folder))
        nodes = {node.name: node for node in model.graph.node}
        # What is no convolution after all has no integer kernel.
        self.layers: Sequence[Layer] = [layer for layer in base.layers if nodes[layer.node].op_type in LAYERS]
        self._weights = {nodes[layer.node].input[1]: layer.name for layer in self.layers}

    def write(self, path: Path, kept: Collection[str]) -> None:
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        kept_nodes = {layer.node for layer in self.layers if layer.name in kept}
        model = self._base.model(kept)
        meta = {each.key: each.value for each in model.metadata_props}
        int8, byte = self._tools.QuantType.QInt8, self._tools.QuantType.QUInt8
        if len(kept_nodes) < len(self.layers):
            quantizer = QDQQuantizer(
                model,
                per_channel=True,
                reduce_range=False,
                weight_qType=int8,
                activation_qType=byte,
                tensors_range=self._ranges,
                nodes_to_quantize=[],
                nodes_to_exclude=sorted(kept_nodes | _behind(model, kept_nodes) | self._base.never(model)),
                op_types_to_quantize=[*LAYERS, *BETWEEN],
                extra_options={"ForceQuantizeNoInputCheck": False},
            )
            with _hushed():
                quantizer.quantize_model()
            model = quantizer.model.model
        self._onnx.helper.set_model_props(model, meta)
        with replacing(path) as temporary:
            self._onnx.save(model, str(temporary))

    def in_int8(self, path: Path) -> set[str]:
        ort = need("onnxruntime", "export")
        with tempfile.TemporaryDirectory() as folder:
            options, fused = ort.SessionOptions(), Path(folder) / "fused.onnx"
            options.optimized_model_filepath = str(fused)
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
            options.log_severity_level = 3
            ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            model = self._onnx.load(str(fused))
        used = {name for node in model.graph.node if node.op_type in INTEGER for name in node.input}
        return {layer for weight, layer in self._weights.items() if f"{weight}_quantized" in used}

    def _calibrated(self, model: Any, inputs: Inputs, folder: Path) -> Any:
        """The range of each tensor on these inputs, of those before and behind DepthToSpace alike."""
        self._onnx.save(model, str(folder / "prepared.onnx"))
        calibrator = self._tools.calibrate.create_calibrator(
            folder / "prepared.onnx",
            [*LAYERS, *BETWEEN],
            augmented_model_path=str(folder / "augmented.onnx"),
            calibrate_method=self._tools.CalibrationMethod.MinMax,
        )
        calibrator.collect_data(_Reader(model.graph.input[0].name, inputs))
        found = calibrator.compute_data()
        for name in list(found.data):
            found.data.setdefault(name.removesuffix(ALL), found.data[name])
            found.data.setdefault(name + ALL, found.data[name])
        return found


def _behind(model: Any, kept: set[str]) -> set[str]:
    """What takes the outputs of layers in floating point, up to the first node of two inputs.

    Their range may be just what integers cannot hold.
    """
    takers: dict[str, list[Any]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            takers[name].append(node)
    waiting, found = [node for node in model.graph.node if node.name in kept], set()
    while waiting:
        for node in takers[waiting.pop().output[0]]:
            if node.op_type in BETWEEN and node.name not in found:
                found.add(node.name)
                if node.op_type in (*ELEMENTWISE, "DepthToSpace", "MaxPool"):
                    waiting.append(node)
    return found


class _Reader:
    """The inputs as the calibrator asks for them."""

    def __init__(self, name: str, inputs: Inputs):
        self._rest: Iterator[Any] = iter([{name: each} for each in inputs])

    def get_next(self) -> Any:
        return next(self._rest, None)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep advice that is for programmers from the user."""
    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
