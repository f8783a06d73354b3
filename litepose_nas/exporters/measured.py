"""Files of untrained networks, to be measured: from the plan where the blocks say their operations, else from torch.

Weights are random but finite: no runtime here is faster or slower for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
    from litepose_nas.network import Network


class MeasuredFormat(NamedTuple):
    """`write` takes an architecture, its joints and the file; `slow` says, for a space, why a file takes long.

    `write_graph` writes a part of a network alone; None: only whole networks are converted.
    """

    suffix: str
    write: Callable[[Arch, int, Path], None]
    slow: Callable[[Arch, int], str]
    write_graph: Callable[[Graph, Path], None] | None = None


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


def _tflite(arch: Arch, joints: int, path: Path) -> None:
    import torch

    from litepose_nas.optional import need
    from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules

    converter = need("litert_torch", "litert")
    net, image = with_ordinary_modules(_network(arch, joints)), torch.zeros(1, 3, *arch.input)
    with torch.no_grad():
        outputs = list(range(len(net(image))))
    last = converter.to_channel_last_io(net, args=[0], outputs=outputs).eval()
    converter.convert(last, (image.permute(0, 2, 3, 1).contiguous(),)).export(str(path))


def _pte(arch: Arch, joints: int, path: Path) -> None:
    import torch

    from litepose_nas import files
    from litepose_nas.optional import need
    from litepose_nas.rewrites.folded_norms import with_folded_norms
    from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules

    exir = need("executorch.exir", "executorch")
    xnnpack = need("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
    # Its own folding fails behind a grouped deconv.
    net = with_folded_norms(with_ordinary_modules(_network(arch, joints)))
    program = torch.export.export(net, (torch.zeros(1, 3, *arch.input),))
    edge = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
    files.write(path, bytes(edge.to_executorch().buffer))


def _network(arch: Arch, joints: int) -> Network:
    import torch

    from litepose_nas.network import build

    torch.manual_seed(0)
    return build(arch, joints).eval()


def _through_torch(arch: Arch, joints: int) -> str:
    missing = unwritten(arch.plan(joints))
    words = f"{', '.join(missing)}: torch's exporter writes these blocks, and takes ten seconds and more a network"
    return words if missing else ""


MEASURED_FORMATS: Mapping[str, MeasuredFormat] = {
    "onnx": MeasuredFormat(".onnx", _onnx, _through_torch, lambda graph, path: write_onnx(graph, path, ["out"])),
    "ncnn": MeasuredFormat(".param", _ncnn, lambda arch, joints: "", write_ncnn),
    "weights": MeasuredFormat(".safetensors", _weights, lambda arch, joints: ""),
    "pte": MeasuredFormat(".pte", _pte, lambda arch, joints: "ExecuTorch's converter takes half a minute a network"),
    "tflite": MeasuredFormat(".tflite", _tflite, lambda arch, joints: "litert-torch takes 15 s a network"),
}
PICTURES_ALONE = ("tflite", "pte")  # formats whose converters get one picture


def check_clips(spaces: Iterable[Space], runtime: KnownRuntime) -> None:
    """Refuse spaces of networks that see clips where no file of such networks can be written."""
    for space in spaces:
        if space.task.clips and runtime.reads in PICTURES_ALONE:
            name = runtime.name
            raise UserError(f"{space.name}: networks of clips are not measured in {name}; choose another --runtime")
