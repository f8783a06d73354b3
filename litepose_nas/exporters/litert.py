"""LiteRT: a .tflite of one picture, channels last, by its own converter."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.graph_module import for_xnnpack
from litepose_nas.optional import need
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules


def write_tflite(net: nn.Module, input: tuple[int, int], path: Path, channels: int = 3) -> None:
    """The plain conversion of a network."""
    converter = need("litert_torch", "litert")
    net, image = with_ordinary_modules(net).eval(), torch.zeros(1, channels, *input)
    with torch.no_grad():
        outputs = list(range(len(net(image))))
    last = converter.to_channel_last_io(net, args=[0], outputs=outputs).eval()
    converter.convert(last, (image.permute(0, 2, 3, 1).contiguous(),)).export(str(path))


def write_litert(what: Exported, path: Path) -> None:
    what.check_single("litert")
    write_tflite(for_xnnpack(*what.graph("litert")), what.size, path)
