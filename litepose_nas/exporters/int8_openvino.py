"""Int8 for OpenVINO, by its own quantizer NNCF: FakeQuantize in front of what its integer kernels compute."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litepose_nas.exporters.int8 import Int8Base, Layer
from litepose_nas.exporters.openvino import save
from litepose_nas.optional import need

EXTRA = "int8"
INTEGERS = ("u8", "i8")
COMPUTED = ("Convolution", "Deconvolution", "FullyConnected", "MatMul", "Subgraph")


class OpenVINOQuantiser:
    def __init__(self, base: Int8Base):
        self._openvino, self._nncf = need("openvino", EXTRA), need("nncf", EXTRA)
        self._base = base
        _, ops = self._converted(())
        self.layers: Sequence[Layer] = [layer for layer in base.layers if layer.name in ops]
        self._ops = ops

    def write(self, path: Path, kept: Collection[str]) -> None:
        nncf, inputs = self._nncf, self._base.inputs
        model, ops = self._converted(kept)
        never = behind(model, set(ops.values())) if self._base.decodes else set()
        if not ops.keys() - set(kept):
            save(model, path)
            return
        ignored = nncf.IgnoredScope(names=sorted(never | {ops[name] for name in kept if name in ops}), validate=False)
        with _quiet():
            model = nncf.quantize(
                model,
                nncf.Dataset(inputs),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(inputs),
                ignored_scope=ignored,
            )
        save(model, path)

    def in_int8(self, path: Path) -> set[str]:
        core = self._openvino.Core()
        compiled = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        integer: set[str] = set()
        for op in compiled.get_runtime_model().get_ordered_ops():
            told = op.get_rt_info()
            if _word(told, "runtimePrecision") in INTEGERS and _word(told, "layerType") in COMPUTED:
                integer.update(_word(told, "originalLayersNames").split(","))
        return {layer for layer, op in self._ops.items() if op in integer}

    def _converted(self, kept: Collection[str]) -> tuple[Any, dict[str, str]]:
        """The model, and the operation of each layer.

        One with a bias is called apart from it, one at the end as the output.
        """
        base = self._base.model(kept)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "base.onnx"
            need("onnx", "export").save(base, str(path))
            model = self._openvino.convert_model(str(path), input=list(self._base.inputs[0].shape))
        kinds = {op.get_friendly_name(): op.get_type_name() for op in model.get_ops()}
        outputs = {node.name: node.output[0] for node in base.graph.node}
        found = {}
        for layer in self._base.layers:
            for name in (layer.node, outputs[layer.node]):
                for op in (f"{name}/WithoutBiases", name):
                    if "Convolution" in kinds.get(op, "") or kinds.get(op) == "MatMul":
                        found[layer.name] = op
        return model, found


def behind(model: Any, layers: set[str]) -> set[str]:
    """The names of the operations that no layer stands behind."""
    found: set[str] = set()
    for op in reversed(model.get_ordered_ops()):
        takers = [one.get_node().get_friendly_name() for output in op.outputs() for one in output.get_target_inputs()]
        if op.get_friendly_name() not in layers and found.issuperset(takers):
            found.add(op.get_friendly_name())
    return found


def _word(told: Any, key: str) -> str:
    return str(getattr(told[key], "value", told[key])) if key in told else ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantizer's bars and advice from the user."""
    console, logger = io.StringIO(), logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(console), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
