"""Int8 for ExecuTorch, by XNNPACK's own quantizer, on the network as torch exports it."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from litepose_nas.exporters.executorch import lowered
from litepose_nas.exporters.int8 import Int8Base, Layer
from litepose_nas.exporters.xnnpack import layer_names, network_in, xnnpack_module
from litepose_nas.optional import need

EXTRA = "executorch"
# In the names of what hands integers on from one layer to the next.
BETWEEN = (
    *("aten.add", "aten.mul", "aten.cat", "relu", "hardtanh", "pool2d", "aten.pad", "reshape", "view", "permute"),
    *("transpose", "slice", "upsample", "mean"),
)
WEIGHTS = re.compile(r"(?:convs\.(\d+)\.weights?(?:\.\d+)?|weight(\d+))$")  # a tensor of GraphModule


class ExecuTorchQuantiser:
    def __init__(self, base: Int8Base):
        what = base.what
        assert what is not None
        self._tools = need("torchao.quantization.pt2e.quantize_pt2e", EXTRA)
        self._xnnpack = need("executorch.backends.xnnpack.quantizer.xnnpack_quantizer", EXTRA)
        self._base, self._example = base, torch.from_numpy(base.inputs[0])
        self._whole = xnnpack_module(what, "executorch")
        names, (_, self._network) = layer_names(self._whole), network_in(self._whole)
        with torch.no_grad(), quiet():
            self._program = torch.export.export(self._network, (torch.zeros(1, 3, *what.size),)).module()
        self._layers = {}  # the layer of each operation, by the operation's name
        for node in self._program.graph.nodes:
            found = WEIGHTS.search(str(getattr(node.args[1], "target", ""))) if len(node.args) > 1 else None
            if found and node.op == "call_function":
                self._layers[node.name] = names[int(found[1] or found[2])]
        known = set(self._layers.values())
        self.layers: Sequence[Layer] = [layer for layer in base.layers if layer.name in known]
        self._integer: dict[Path, set[str]] = {}

    def write(self, path: Path, kept: Collection[str]) -> None:
        if not {layer.name for layer in self.layers} - set(kept):
            with quiet():
                lowered(self._whole, self._example, path)
            self._integer[path] = set()
            return
        never = self._in_float(set(kept))
        quantizer = self._xnnpack.XNNPACKQuantizer().set_global(
            self._xnnpack.get_symmetric_quantization_config(is_per_channel=True)
        )
        quantizer.set_filter_function(lambda node: node.name not in never)
        with torch.no_grad(), quiet():
            prepared = self._tools.prepare_pt2e(copy.deepcopy(self._program), quantizer)
            calibrated = self._around(prepared)
            for each in self._base.inputs:
                calibrated(torch.from_numpy(each))
            converted = self._tools.convert_pt2e(prepared)
            frozen = dict(self._frozen(converted))
            self._integer[path] = _computed_with_integers(lowered(self._around(converted), self._example, path), frozen)

    def in_int8(self, path: Path) -> set[str]:
        """Of the file that was written there last: what XNNPACK took together with its scales."""
        return self._integer[path]

    def _around(self, network: nn.Module) -> nn.Module:
        """What stands around the network stays as it is: the quantizer would make floating point of whole numbers."""
        return copy.deepcopy(self._whole, {id(self._network): network})

    def _frozen(self, converted: Any) -> Iterator[tuple[str, str]]:
        """The names that integer weights got, with their layers."""
        for node in converted.graph.nodes:
            if node.name in self._layers and "dequantize" in str(node.args[1].target):
                yield node.args[1].args[0].target, self._layers[node.name]

    def _in_float(self, kept: set[str]) -> set[str]:
        """Operations that are no layer, or one that is kept, and do not read integers alone."""
        integers: set[str] = set()
        found: set[str] = set()
        for node in self._program.graph.nodes:
            if node.op != "call_function":
                integers.update([node.name] if node.op == "placeholder" else [])
                continue
            fed = bool(node.all_input_nodes) and all(each.name in integers for each in node.all_input_nodes)
            between = fed and any(kind in str(node.target) for kind in BETWEEN)
            layer = self._layers.get(node.name)
            (integers if (between if layer is None else layer not in kept) else found).add(node.name)
        return found


def _computed_with_integers(program: Any, frozen: dict[str, str]) -> set[str]:
    found: set[str] = set()
    for node in program.graph.nodes:
        if "executorch_call_delegate" not in str(node.target):
            continue
        part = getattr(program.graph_module, node.args[0].target).original_module
        for inner in part.graph.nodes:
            read = [str(each.target) for each in inner.args[:2] if hasattr(each, "target")]
            if len(read) == 2 and all("dequantize" in each for each in read):
                weights = re.search(r"_frozen_param\d+$", str(inner.args[1].args[0].target))
                found.update({frozen[weights[0]]} if weights and weights[0] in frozen else ())
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the quantizer's packages say of their own future from the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
