"""LiteRT: a .tflite of one picture, channels last, by its own converter."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from litepose_nas.exporters.exported import Exported
from litepose_nas.optional import need
from litepose_nas.rewrites.cut_kernels import with_cut_kernels
from litepose_nas.rewrites.folded_norms import with_folded_norms
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules


def write_tflite(net: nn.Module, input: tuple[int, int], path: Path, cut: bool = True) -> None:
    """`cut` makes small kernels of large depthwise ones, exactly: LiteRT has fast code for those alone."""
    converter = need("litert_torch", "litert")
    net, image = with_ordinary_modules(net).eval(), torch.zeros(1, 3, *input)
    if cut:  # the converter folds a normalisation into one convolution, not into several pieces of one
        net = with_cut_kernels(with_folded_norms(net))
    with torch.no_grad():
        outputs = list(range(len(net(image))))
    last = converter.to_channel_last_io(net, args=[0], outputs=outputs).eval()
    converter.convert(last, (image.permute(0, 2, 3, 1).contiguous(),)).export(str(path))


def write_litert(what: Exported, path: Path) -> None:
    what.check_plain("litert")
    what.check_single("litert")
    write_tflite(what.net, what.size, path)
