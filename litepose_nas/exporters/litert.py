"""LiteRT: a .tflite of one picture, channels last, by its own converter."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from litepose_nas import files
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.xnnpack import xnnpack_module
from litepose_nas.optional import need
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules
from litepose_nas.runtimes.litert import AS_THEY_ARE


def write_tflite(net: nn.Module, input: tuple[int, int], path: Path, channels: int = 3) -> None:
    """The plain conversion of a network."""
    net, image = with_ordinary_modules(net).eval(), torch.zeros(1, channels, *input)
    with torch.no_grad():
        outputs = [f"output_{i}" for i in range(len(net(image)))]
    convert(ChannelsLast(net, outputs), image.permute(0, 2, 3, 1).contiguous(), path)


def write_litert(what: Exported, path: Path) -> None:
    write_module(litert_module(what), what, path)


def litert_module(what: Exported) -> ChannelsLast:
    return ChannelsLast(xnnpack_module(what, "litert"), what.outputs, what.reads_bytes)


def write_module(module: ChannelsLast, what: Exported, path: Path) -> None:
    image = torch.from_numpy(what.images(1))
    convert(module, image if what.reads_bytes else image.permute(0, 2, 3, 1).contiguous(), path)


class ChannelsLast(nn.Module):
    """Takes pictures channels last, and answers under names: maps channels last, joints and peaks as they are."""

    def __init__(self, net: nn.Module, names: Sequence[str], reads_bytes: bool = False):
        super().__init__()
        self.net, self.names, self.reads_bytes = net, tuple(names), reads_bytes

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        outputs = self.net(image if self.reads_bytes else image.permute(0, 3, 1, 2))
        named = zip(self.names, outputs, strict=True)
        return {name: each if name in AS_THEY_ARE else each.permute(0, 2, 3, 1) for name, each in named}


def convert(module: nn.Module, image: Tensor, path: Path) -> None:
    converter = need("litert_torch", "litert")
    with quiet():
        converter.convert(module.eval(), (image,)).export(str(path))


def write_half(what: Exported, path: Path) -> None:
    """Weights of 16 bits; they are computed with in fp32."""
    tools = need("ai_edge_quantizer", "litert")
    write_litert(what, path)
    quantizer = tools.quantizer.Quantizer(path.read_bytes())
    everything = tools.qtyping.TFLOperationName.ALL_SUPPORTED
    quantizer.add_weight_only_config(".*", everything, 16, algorithm_key="float_casting")
    with quiet():
        made = quantizer.quantize(enable_progress_bar=False, enable_progress_report=False)
    files.write(path, bytes(made.quantized_model))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the converter's and the quantizer's progress and advice from the user."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)
