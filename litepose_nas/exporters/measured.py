"""Files of untrained networks, to be measured: from the plan where the blocks say their operations, else from torch.

Weights are random but finite: no runtime here is faster or slower for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.blocks.graph import Graph
from litepose_nas.errors import UserError
from litepose_nas.plan_files.ncnn_file import write_ncnn
from litepose_nas.plan_files.network_graph import network_graph, unwritten
from litepose_nas.plan_files.onnx_file import write_onnx
from litepose_nas.runtimes.table import KnownRuntime
from litepose_nas.space import Arch, Space

if TYPE_CHECKING:
    from torch import nn

    from litepose_nas.network import Network


WRITTEN = 2  # raise it when a block or `write` changes what is in a file: slow ones are kept, see conversion.py


class MeasuredFormat(NamedTuple):
    """`write` takes an architecture, its joints and the file; `slow` says, for a space, why a file takes long.

    `write_graph` writes a part of a network alone; None: only whole networks are converted.
    """

    suffix: str
    write: Callable[[Arch, int, Path], None]
    slow: Callable[[Arch, int], str]
    write_graph: Callable[[Graph, Path], None] | None = None
    converter: tuple[str, ...] = ()  # the packages that write a file where that is slow


def _onnx(arch: Arch, joints: int, path: Path) -> None:
    if not unwritten(arch.plan(joints)):
        write_onnx(network_graph(arch, joints), path, arch.space.family.outputs)
        return
    from litepose_nas.exporters.onnx import to_onnx
    from litepose_nas.exporters.parity import output_names

    net = _network(arch, joints)
    to_onnx(net, path, arch.input, output_names(net, arch.input, arch.space.family.outputs), {})


def _ncnn(arch: Arch, joints: int, path: Path) -> None:
    if missing := unwritten(arch.plan(joints)):
        what = ", ".join(missing)
        raise UserError(f"{arch.space.name}: no files for ncnn: {what} have no `emit`; choose another --runtime")
    write_ncnn(network_graph(arch, joints), path)


def _weights(arch: Arch, joints: int, path: Path) -> None:
    from litepose_nas import weights
    from litepose_nas.formats.subnet_file import Subnet

    weights.save(_network(arch, joints), path, Subnet(arch, joints))


def _tflite(arch: Arch, joints: int, path: Path, rewritten: bool = False) -> None:
    from litepose_nas.exporters.litert import write_tflite

    write_tflite(_for_xnnpack(arch, joints) if rewritten else _network(arch, joints), arch.input, path)


def _pte(arch: Arch, joints: int, path: Path, rewritten: bool = False) -> None:
    from litepose_nas.exporters.executorch import write_pte

    write_pte(_for_xnnpack(arch, joints) if rewritten else _network(arch, joints), arch.input, path)


def _for_xnnpack(arch: Arch, joints: int) -> nn.Module:
    """As `export` writes it."""
    from litepose_nas.exporters.graph_module import for_xnnpack
    from litepose_nas.exporters.graph_state import graph_state

    return for_xnnpack(network_graph(arch, joints), graph_state(_network(arch, joints), arch.input))


def _network(arch: Arch, joints: int) -> Network:
    import torch

    from litepose_nas.network import build

    torch.manual_seed(0)
    return build(arch, joints).eval()


def _through_torch(arch: Arch, joints: int) -> str:
    missing = unwritten(arch.plan(joints))
    words = f"{', '.join(missing)}: torch's exporter writes these blocks, and takes ten seconds and more a network"
    return words if missing else ""


def _never(arch: Arch, joints: int) -> str:
    return ""


_ONNX = MeasuredFormat(
    ".onnx",
    _onnx,
    _through_torch,
    lambda graph, path: write_onnx(graph, path, ["out"]),
    ("torch", "onnx", "onnxscript", "onnxruntime"),
)
_PTE = MeasuredFormat(
    ".pte",
    _pte,
    lambda arch, joints: "ExecuTorch's converter takes half a minute a network",
    converter=("torch", "executorch"),
)
_TFLITE = MeasuredFormat(
    ".tflite",
    _tflite,
    lambda arch, joints: "litert-torch takes 15 s a network",
    converter=("torch", "litert-torch"),
)
_CUT = "{}, kernels cut"  # the format of a network that was rewritten
MEASURED_FORMATS: Mapping[str, MeasuredFormat] = {
    "onnx": _ONNX,
    "ncnn": MeasuredFormat(".param", _ncnn, _never, write_ncnn),
    "weights": MeasuredFormat(".safetensors", _weights, _never),
    "pte": _PTE,
    "tflite": _TFLITE,
    _CUT.format("pte"): _PTE._replace(write=partial(_pte, rewritten=True)),
    _CUT.format("tflite"): _TFLITE._replace(write=partial(_tflite, rewritten=True)),
}
PICTURES_ALONE = ("tflite", "pte")  # formats whose converters get one picture
REWRITES = ("cut_kernels",)


def check_clips(spaces: Iterable[Space], runtime: KnownRuntime) -> None:
    """Refuse spaces of networks that see clips where no file of such networks can be written."""
    for space in spaces:
        if space.task.clips and runtime.reads in PICTURES_ALONE:
            name = runtime.name
            raise UserError(f"{space.name}: networks of clips are not measured in {name}; choose another --runtime")


def reading(runtime: KnownRuntime, rewrites: Sequence[str]) -> KnownRuntime:
    """A runtime that reads the files of networks rewritten in these ways; samples.json names them."""
    cut = _CUT.format(runtime.reads)
    if not rewrites:
        return runtime
    if tuple(rewrites) != REWRITES:
        raise UserError(f"unknown rewrites {', '.join(rewrites)}; this program knows {', '.join(REWRITES)}")
    if cut not in MEASURED_FORMATS:
        raise UserError(f"--rewrites: {runtime.name} runs all kernels as they are; leave it out")
    return runtime._replace(reads=cut)
