"""ExecuTorch: a .pte of one picture for its XNNPACK delegate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from litepose_nas import files
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.xnnpack import xnnpack_module
from litepose_nas.optional import need
from litepose_nas.rewrites.folded_norms import with_folded_norms
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules


def write_pte(net: nn.Module, input: tuple[int, int], path: Path) -> None:
    """The plain conversion of a network."""
    net = with_folded_norms(with_ordinary_modules(net).eval())  # its own folding fails behind a grouped deconv
    lowered(net, torch.zeros(1, 3, *input), path)


def write_executorch(what: Exported, path: Path) -> None:
    lowered(xnnpack_module(what, "executorch"), torch.from_numpy(what.images(1)), path)


def lowered(net: nn.Module, example: Tensor, path: Path) -> Any:
    """Write what XNNPACK takes for XNNPACK, and the rest for the runtime's own kernels; return the program."""
    exir = need("executorch.exir", "executorch")
    xnnpack = need("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
    program = torch.export.export(net, (example,))
    edge = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
    files.write(path, bytes(edge.to_executorch().buffer))
    return edge.exported_program()
