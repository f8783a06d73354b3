"""Ways to cut a large depthwise kernel into pieces of at most 25 weights, in LiteRT; run it in that environment:

    .runtimes/litert/bin/python litepose_nas/latency/elsewhere.py benchmarks/export_cuts.py

One thread, processor time, the least of 15 rounds in turn, a chain of three convolutions each followed by ReLU.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from litepose_nas.exporters.litert import write_tflite
from litepose_nas.rewrites import cut_kernels
from litepose_nas.rewrites.cut_kernels import CutConv2d, Taps
from litepose_nas.runtimes.litert import open_session

LAYERS = ((192, 32, 1, 7), (192, 32, 1, 9), (192, 32, 1, 11), (480, 16, 1, 7), (96, 64, 1, 7), (96, 64, 2, 7))
Pieces = list[tuple[Taps, Taps]]


def windows(kernel: int, high: int, wide: int) -> Pieces:
    """Side by side."""

    def cuts(most: int) -> list[Taps]:
        return [Taps(first, 1, min(most, kernel - first)) for first in range(0, kernel, most)]

    return [(rows, columns) for rows in cuts(high) for columns in cuts(wide)]


def phases(kernel: int, step: int) -> Pieces:
    """Every second or third row and column."""
    taps = [Taps(first, step, len(range(first, kernel, step))) for first in range(step)]
    return [(rows, columns) for rows in taps for columns in taps]


class Chain(nn.Module):
    def __init__(self, convs: Sequence[nn.Module]):
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        for conv in self.convs:
            image = conv(image).relu()
        return (image,)


def cut(conv: nn.Conv2d, pieces: Pieces) -> CutConv2d:
    ours = cut_kernels.pieces
    cut_kernels.pieces = lambda height, width: pieces
    try:
        return CutConv2d(conv)
    finally:
        cut_kernels.pieces = ours


def main() -> None:
    torch.set_num_threads(1)
    folder = tempfile.TemporaryDirectory()
    for channels, side, stride, kernel in LAYERS:
        torch.manual_seed(0)
        count = 1 if stride > 1 else 3
        convs = [nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels) for _ in range(count)]
        ways = {"windows of 5x5": windows(kernel, 5, 5), "windows of 4x4": windows(kernel, 4, 4)}
        ways |= {"windows of 3x3": windows(kernel, 3, 3), "strips": windows(kernel, kernel, 25 // kernel)}
        ways |= {"phases of 3": phases(kernel, 3), "ours": cut_kernels.pieces(kernel, kernel)}
        ways |= {"phases of 2": phases(kernel, 2)} if kernel < 11 else {}  # of 11 they have 36 weights
        chains = {"whole": Chain(convs)} | {name: Chain([cut(c, way) for c in convs]) for name, way in ways.items()}
        image, runs = torch.randn(1, channels, side, side), {}
        with torch.no_grad():
            (wanted,) = chains["whole"](image)
        for name, chain in chains.items():
            path = Path(folder.name) / f"{name}.tflite"
            write_tflite(chain, (side, side), path, channels)
            session = open_session(path, 1)
            assert np.abs(session(image.numpy())[0] - wanted.numpy()).max() < 1e-4
            runs[name] = session.ready(image.numpy())
        least = dict.fromkeys(runs, float("inf"))
        for _ in range(15):
            for name, run in runs.items():
                run()
                begun = time.process_time()
                run()
                least[name] = min(least[name], 1e3 * (time.process_time() - begun))
        found = ", ".join(f"{name} {ms:.2f}" for name, ms in sorted(least.items(), key=lambda one: one[1]))
        print(f"{channels} x {side} x {side}, {kernel}x{kernel}, stride {stride}: {found} ms", flush=True)


if __name__ == "__main__":
    main()
