"""ExecuTorch: a .pte of one picture for its XNNPACK delegate."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from litepose_nas import files
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.graph_module import for_xnnpack
from litepose_nas.optional import need
from litepose_nas.rewrites.folded_norms import with_folded_norms
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules


def write_pte(net: nn.Module, input: tuple[int, int], path: Path) -> None:
    """The plain conversion of a network."""
    exir = need("executorch.exir", "executorch")
    xnnpack = need("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
    net = with_folded_norms(with_ordinary_modules(net).eval())  # its own folding fails behind a grouped deconv
    program = torch.export.export(net, (torch.zeros(1, 3, *input),))
    edge = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
    files.write(path, bytes(edge.to_executorch().buffer))


def write_executorch(what: Exported, path: Path) -> None:
    what.check_single("executorch")
    write_pte(for_xnnpack(*what.graph("executorch")), what.size, path)
