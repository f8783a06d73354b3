"""Int8 for LiteRT, by its own quantizer, which makes files of one in fp32 that it has calibrated once."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas import files
from litepose_nas.exporters.int8 import Int8Base, Layer
from litepose_nas.exporters.litert import litert_module, quiet, write_module
from litepose_nas.exporters.tflite_operations import Operation, fingerprint, operations
from litepose_nas.exporters.xnnpack import layer_weights
from litepose_nas.optional import need

EXTRA = "litert"
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED")
# What hands integers on from one layer to the next, where it reads nothing else: what the normalisation of layers and
# attention compute in between stays in floating point.
BETWEEN = (
    *("ADD", "MUL", "CONCATENATION", "PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "RELU", "HARD_SWISH"),
    *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE"),
)


class LiteRTQuantiser:
    def __init__(self, base: Int8Base):
        assert base.what is not None
        self._tools, self._base = need("ai_edge_quantizer", EXTRA), base
        module = litert_module(base.what)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "base.tflite"
            write_module(module, base.what, path)
            self._file = path.read_bytes()
        known = {fingerprint(weight): name for name, weights in layer_weights(module.net) for weight in weights}
        self._operations = [
            one._replace(layer=known.get(one.weights, "") if one.weights else "") for one in operations(self._file)
        ]
        names = {one.layer for one in self._operations}
        self.layers: Sequence[Layer] = [layer for layer in base.layers if layer.name in names]
        self._ranges = self._calibrated()

    def write(self, path: Path, kept: Collection[str]) -> None:
        if not {layer.name for layer in self.layers} - set(kept):
            files.write(path, self._file)
            return
        with quiet():
            quantizer = self._quantizer(self._in_float(set(kept)))
            made = quantizer.quantize(self._ranges, enable_progress_bar=False, enable_progress_report=False)
        files.write(path, bytes(made.quantized_model))

    def in_int8(self, path: Path) -> set[str]:
        """By what each operation reads: there are integer kernels for integers, and none that convert."""
        made = [one for one in operations(path.read_bytes()) if one.kind not in ("QUANTIZE", "DEQUANTIZE")]
        pairs = list(zip(self._operations, made, strict=True))
        integer = {plain.layer for plain, one in pairs if one.integers}
        return integer - {plain.layer for plain, one in pairs if not one.integers} - {""}

    def _quantizer(self, in_float: Collection[str] = ()) -> Any:
        """Static, with a scale for each channel of the weights; fp32 goes in and comes out."""
        quantizer, kinds = self._tools.quantizer.Quantizer(self._file), self._tools.qtyping.TFLOperationName
        for kind in (*LAYERS, *BETWEEN):
            quantizer.add_static_config(".*", kinds(kind), 8, 8)
        for name in in_float:
            quantizer.update_quantization_recipe(
                f"^{re.escape(name)}$", kinds.ALL_SUPPORTED, algorithm_key="no_quantize"
            )
        return quantizer

    def _calibrated(self) -> Any:
        what, inputs = self._base.what, self._base.inputs
        assert what is not None
        shown = [each if what.reads_bytes else np.ascontiguousarray(each.transpose(0, 2, 3, 1)) for each in inputs]
        with quiet():
            return self._quantizer().calibrate({"serving_default": [{"args_0": each} for each in shown]}, num_threads=1)

    def _in_float(self, kept: set[str]) -> set[str]:
        """The names of operations that are no layer, or one that is kept, and do not read integers alone."""
        never = _decoding(self._operations) if self._base.decodes else set()
        made = {output for one in self._operations for output in one.outputs}
        integers: set[int] = set()  # tensors
        found = set(never)
        for one in self._operations:
            fed = not one.weights and all(i in integers or i not in made for i in one.inputs)
            if one.name not in never and (one.layer not in kept if one.layer else fed and one.kind in BETWEEN):
                integers.update(one.outputs)
            else:
                found.add(one.name)
        return found


def _decoding(all_of_them: Sequence[Operation]) -> set[str]:
    """What no layer stands behind."""
    needed: set[int] = set()  # tensors that lead to a layer
    found = set()
    for one in reversed(all_of_them):
        if one.layer or needed.intersection(one.outputs):
            needed.update(one.inputs)
        else:
            found.add(one.name)
    return found
