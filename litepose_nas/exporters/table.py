"""The formats of `export`. A new one is a file in this folder, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn

from litepose_nas.exporters.onnx import to_onnx
from litepose_nas.exporters.parity import Parity


class Format(NamedTuple):
    """`write` takes a network, the file, its input's size, the names of its outputs, and what the file shall say."""

    suffix: str
    write: Callable[[nn.Module, str | Path, tuple[int, ...], Sequence[str], dict], Parity]


FORMATS: Mapping[str, Format] = {"onnx": Format(".onnx", to_onnx)}
